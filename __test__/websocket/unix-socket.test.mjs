// Sockets of the file system: `ws+unix:` URLs.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure, frame, next, opening, readUntil, TEXT, tcpServer, WebSocket } from '../helpers/websocket-ends.mjs';

const skip = process.platform === 'win32' && 'no such sockets here';

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'webwire-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** A server at this path: it opens the connections, sends what it was asked for, and echoes. */
function serve(t, path) {
  return tcpServer(
    t,
    async (socket) => {
      const head = await readUntil(socket, '\r\n\r\n');
      const host = /^host: (.*)\r$/im.exec(head)[1];
      socket.write(opening(head));
      socket.write(frame(TEXT, `${head.split('\r\n')[0]} of ${host}`));
    },
    { path },
  );
}

async function asked(url, options) {
  const socket = new WebSocket(url, options);
  const { data, origin } = await next(socket, 'message');
  assert.equal(socket.url, new URL(url).href);
  assert.equal(origin, 'null');
  socket.close();
  return data;
}

test('path and target', { skip }, async (t) => {
  const path = join(folder(t), 'a b.sock');
  await serve(t, path);
  const encoded = path.replace(' ', '%20');
  assert.equal(await asked(`ws+unix:${encoded}`), 'GET / HTTP/1.1 of localhost');
  assert.equal(await asked(`ws+unix:${encoded}:/a:b/c?d=e`), 'GET /a:b/c?d=e HTTP/1.1 of localhost');
  assert.equal(await asked(`ws+unix:${encoded}:/`, { headers: { host: 'other' } }), 'GET / HTTP/1.1 of other');
});

test('a path that is not absolute, and a target with blanks', { skip }, async (t) => {
  const before = process.cwd();
  process.chdir(folder(t));
  t.after(() => process.chdir(before));
  await serve(t, 'here.sock');
  assert.equal(await asked('ws+unix:here.sock:/a b?c d'), 'GET /a%20b?c%20d HTTP/1.1 of localhost');
});

/** Node 20's own servers bind an abstract name that is padded to 108 bytes, which nobody else would ask for. */
const abstract = process.platform === 'linux' && Number(process.versions.node.split('.')[0]) >= 22;

test('an abstract name', { skip: !abstract && 'Linux, and a Node that binds the name as it is' }, async (t) => {
  const name = `webwire-${process.pid}`;
  await serve(t, `\0${name}`);
  assert.equal(await asked(`ws+unix:%00${name}:/x`), 'GET /x HTTP/1.1 of localhost');
});

test('nobody listens', { skip }, async (t) => {
  const { phase, code } = await failure(t, `ws+unix:${folder(t)}/none`);
  assert.deepEqual([phase, code], ['connect', 'ENOENT']);
});

test('URLs that name no socket', () => {
  for (const url of [
    'ws+unix:',
    'ws+unix://host/path',
    'ws+unix::/target',
    'ws+unix:/path#a',
    'ws+unix:/path:target',
  ]) {
    assert.throws(() => new WebSocket(url), { name: 'SyntaxError' }, url);
  }
  assert.throws(() => new WebSocket('wss+unix:/path'), { name: 'SyntaxError' });
  assert.throws(() => new WebSocket('ws+unix:/path', { proxy: 'http://127.0.0.1:1' }), TypeError);
});
