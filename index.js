'use strict';

// The CommonJS core: the one place where the classes come from.
module.exports = require('./dist/index.js');
