'use strict';

// The interface of the package `ws`: as there, the class WebSocket is the module.
module.exports = require('./dist/ws/index.js').WebSocket;
