// What Autobahn's fuzzing server tests: the client, which its runner makes echo.

export { WebSocket } from '../../index.mjs';
