// Wrong arguments throw before anything is dialled. https://www.w3.org/TR/webtransport/#dom-webtransport-webtransport

import assert from 'node:assert/strict';
import { test } from 'node:test';
import webwire from '../../index.js';

const { WebTransport, WebTransportError, WebTransportServer } = webwire;
const URL = 'https://localhost/';
const hash = { algorithm: 'sha-256', value: new Uint8Array(32) };

for (const url of [
  '',
  'relative',
  'https://',
  'http://localhost/',
  'wss://localhost/',
  `${URL}#`,
  `${URL}#a`,
  'https://a:65536/',
]) {
  test(`URL '${url}': SyntaxError`, () => {
    assert.throws(() => new WebTransport(url), { name: 'SyntaxError', constructor: DOMException });
  });
}

for (const [what, protocols] of [
  ['twice', ['a', 'a']],
  ['empty', ['']],
  ['longer than 512 bytes', ['x'.repeat(513)]],
  ['not ASCII', ['é']],
  ['with a line break', ['a\n']],
]) {
  test(`a protocol that is ${what}: SyntaxError`, () => {
    assert.throws(() => new WebTransport(URL, { protocols }), { name: 'SyntaxError', constructor: DOMException });
  });
}

test('headers are converted with the other options, before the URL is looked at, and filled behind all checks', () => {
  const bad = [1, null, 'a', [['a']], [1], { a: Symbol('a') }, { ā: 'b' }, [['a', 'ā']], { [Symbol('a')]: 'b' }];
  for (const headers of bad) {
    const notOfTheType = !Array.isArray(headers) || headers[0].length !== 1;
    const options = { headers, allowPooling: true, serverCertificateHashes: [hash] };
    const expected = notOfTheType ? 'TypeError' : 'SyntaxError';
    assert.throws(() => new WebTransport('relative', options), { name: expected }, JSON.stringify(headers));
  }
  const asked = [];
  const options = new Proxy({}, { get: (_target, name) => void asked.push(name) });
  const headers = new Proxy({ b: '1', a: '2' }, { get: (target, name) => asked.push(name) && target[name] });
  assert.throws(
    () =>
      new WebTransport('relative', {
        headers,
        get protocols() {
          return options.protocols;
        },
      }),
    {
      name: 'SyntaxError',
    },
  );
  assert.deepEqual(asked, [Symbol.iterator, 'b', 'a', 'protocols']);
  for (const headers of [{ 'a b': 'c' }, { 'wt-available-protocols': 'a' }]) {
    assert.throws(() => new WebTransport(URL, { headers, protocols: [''] }), { name: 'SyntaxError' });
  }
});

for (const [what, options] of [
  ['options that are no object', 1],
  ['an unknown congestion control', { congestionControl: 'slow' }],
  ['a hash without a value', { serverCertificateHashes: [{ algorithm: 'sha-256' }] }],
  ['a hash without an algorithm', { serverCertificateHashes: [{ value: new Uint8Array(32) }] }],
  ['a hash that is no buffer', { serverCertificateHashes: [{ algorithm: 'sha-256', value: 'text' }] }],
  ['protocols that are no sequence', { protocols: 1 }],
  ['a header with a line break', { headers: { x: 'a\r\nb: c' } }],
  ['a header name with a space', { headers: { 'a b': 'c' } }],
  ['wt-available-protocols', { headers: { 'WT-Available-Protocols': '"a"' } }],
  ['a ca that is not PEM', { ca: 'no certificate' }],
  ['a certificate without its key', { cert: 'x' }],
]) {
  test(`${what}: TypeError`, () => {
    assert.throws(() => new WebTransport(URL, options), { name: 'TypeError' });
  });
}

test('allowPooling with hashes: NotSupportedError', () => {
  assert.throws(() => new WebTransport(URL, { allowPooling: true, serverCertificateHashes: [hash] }), {
    name: 'NotSupportedError',
  });
});

test('no argument: TypeError', () => {
  assert.throws(() => new WebTransport(), TypeError);
  assert.throws(() => new WebTransportServer(), TypeError);
  assert.throws(() => new WebTransportServer({}), TypeError);
  assert.throws(() => new WebTransportServer({ cert: 'x', key: 'y' }), TypeError);
});

test('a WebTransportError has its source and code', () => {
  const error = new WebTransportError('text', { source: 'session', streamErrorCode: 2 ** 40 });
  assert.ok(error instanceof DOMException);
  assert.deepEqual(
    [error.name, error.message, error.source, error.streamErrorCode, error.code],
    ['WebTransportError', 'text', 'session', 0xffffffff, 0],
  );
  const older = new WebTransportError({ message: 'text', streamErrorCode: 7 });
  assert.deepEqual([older.message, older.source, older.streamErrorCode], ['text', 'stream', 7]);
  assert.equal(new WebTransportError({ streamErrorCode: 7 }).message, '');
  assert.equal(new WebTransportError({ streamErrorCode: 7 }, {}).streamErrorCode, null);
  const plain = new WebTransportError();
  assert.deepEqual([plain.message, plain.source, plain.streamErrorCode], ['', 'stream', null]);
  assert.throws(() => new WebTransportError('', { source: 'nowhere' }), TypeError);
});

for (const port of [1, 6667, 10080]) {
  test(`port ${port} is blocked`, async () => {
    const client = new WebTransport(`https://localhost:${port}/`);
    await assert.rejects(client.ready, { name: 'WebTransportError', source: 'session' });
    await assert.rejects(client.closed, WebTransportError);
  });
}
