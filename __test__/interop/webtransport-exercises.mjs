// What a WebTransport session must do with any other implementation, in the words of the standard alone: the client's side,
// and the server's where a session is all that it needs. A client's function is also sent to a browser as text, so none may
// use anything from outside of itself but the globals of every realm.

import webwire from '../../index.js';

/** Streams of all kinds, a datagram and close information against a server that does what serveWebTransport() does. */
export async function exerciseWebTransport(transport) {
  const content = Uint8Array.from({ length: 1024 * 1024 }, (_, index) => (index * 7) & 0xff);
  const readAll = async (readable) => {
    const bytes = new Uint8Array(content.length);
    let length = 0;
    for (const reader = readable.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes.set(value, length);
      length += value.length;
    }
    return bytes.subarray(0, length);
  };
  const writeAll = async (writable, bytes) => {
    const writer = writable.getWriter();
    await writer.write(bytes);
    await writer.close();
  };
  const first = async (readable) => {
    const reader = readable.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    return value;
  };
  const same = (bytes, part) => {
    if (bytes.length !== content.length || bytes.some((byte, index) => byte !== content[index])) {
      throw new Error(`the ${part} stream came back changed`);
    }
  };

  await transport.ready;
  const greeting = await first(transport.incomingBidirectionalStreams);
  const text = new TextDecoder().decode(await readAll(greeting.readable));
  if (text !== 'hello from the server') throw new Error(`greeted with ${text}`);
  await writeAll(greeting.writable, new TextEncoder().encode('hello from the client'));

  const bidirectional = await transport.createBidirectionalStream();
  const [echoed] = await Promise.all([readAll(bidirectional.readable), writeAll(bidirectional.writable, content)]);
  same(echoed, 'bidirectional');

  await writeAll(await transport.createUnidirectionalStream(), content);
  same(await readAll(await first(transport.incomingUnidirectionalStreams)), 'unidirectional');

  const datagrams = transport.datagrams;
  const writer = (datagrams.writable ?? datagrams.createWritable()).getWriter();
  await writer.write(new TextEncoder().encode('a datagram'));
  const datagram = new TextDecoder().decode(await first(datagrams.readable));
  if (datagram !== 'a datagram') throw new Error(`the datagram came back as ${datagram}`);

  const { protocol } = transport;
  transport.close({ closeCode: 7, reason: 'done' });
  const { closeCode, reason } = await transport.closed;
  return { protocol, closeCode, reason };
}

/** The server's side of exerciseWebTransport(). Resolves to the answer to our greeting and the close information. */
export async function serveWebTransport(session) {
  await session.ready;
  // The session's end ends or errors all of its streams, whatever they wait for; session.closed says why.
  const forEach = async (readable, handle) => {
    try {
      for (const reader = readable.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        await handle(value);
      }
    } catch {}
  };
  forEach(session.incomingBidirectionalStreams, ({ readable, writable }) => readable.pipeTo(writable));
  forEach(session.incomingUnidirectionalStreams, async (readable) => {
    await readable.pipeTo(await session.createUnidirectionalStream());
  });
  const datagrams = (session.datagrams.writable ?? session.datagrams.createWritable()).getWriter();
  forEach(session.datagrams.readable, (datagram) => datagrams.write(datagram));

  const greeting = await session.createBidirectionalStream();
  const writer = greeting.writable.getWriter();
  await writer.write(new TextEncoder().encode('hello from the server'));
  await writer.close();
  let answer = '';
  const decoder = new TextDecoder();
  await forEach(greeting.readable, (chunk) => {
    answer += decoder.decode(chunk, { stream: true });
  });
  const { closeCode, reason } = await session.closed;
  return { answer, closeCode, reason };
}

/**
 * Streams that an end gives up. `reset`: we abort a writer, and then the server does. `stopped`: the server cancels a reader;
 * `stop`: then we do as well. Resolves to the codes that we hear, or the name of another error.
 */
export async function exerciseGivingUp(transport, how, WebTransportError = globalThis.WebTransportError) {
  // Browsers construct WebTransportError as an early draft of the standard had it.
  const withCode = (streamErrorCode) => {
    try {
      return new WebTransportError('', { streamErrorCode });
    } catch {
      return new WebTransportError({ message: '', streamErrorCode });
    }
  };
  const codeOf = (promise) =>
    promise.then(
      () => 'no error',
      ({ name, source, streamErrorCode }) => (source === 'stream' ? streamErrorCode : name),
    );
  await transport.ready;
  const heard = [];
  // A browser's codes end at 255.
  for (const code of [0, 100, 255]) {
    const { readable, writable } = await transport.createBidirectionalStream();
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    await writer.write(Uint8Array.of(code));
    // The server has the stream: only now can it hear how the stream ends.
    await reader.read();
    if (how === 'reset') {
      await writer.abort(withCode(code));
      heard.push(await codeOf(reader.read()));
    } else {
      await writer.write(Uint8Array.of(code));
      heard.push(await codeOf(writer.closed));
      if (how === 'stop') await reader.cancel(withCode(code));
    }
  }
  // The server closes when it has heard all.
  await transport.closed;
  return { heard };
}

/** The server's side of exerciseGivingUp(). Its codes count down from the largest, if it is not only `stopped`. Resolves to the client's. */
export async function serveGivingUp(session, how) {
  const withCode = (code) => {
    const streamErrorCode = how === 'stopped' ? code : 2 ** 32 - 1 - code;
    return new webwire.WebTransportError('', { streamErrorCode });
  };
  const codeOf = (promise) =>
    promise.then(
      () => 'no error',
      ({ source, streamErrorCode }) => (source === 'stream' ? streamErrorCode : source),
    );
  const giveUp = async ({ readable, writable }) => {
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    const { value } = await reader.read();
    await writer.write(value);
    const [code] = value;
    if (how === 'reset') {
      const heard = await codeOf(reader.read());
      await writer.abort(withCode(code));
      return heard;
    }
    // The client has read what we wrote: with a STOP_SENDING at its side Firefox would not.
    await reader.read();
    await reader.cancel(withCode(code));
    if (how === 'stop') return codeOf(writer.closed);
    await writer.close();
    return 'nothing';
  };
  const streams = session.incomingBidirectionalStreams.getReader();
  const heard = [];
  for (let count = 0; count < 3; count += 1) heard.push(await giveUp((await streams.read()).value));
  session.close();
  return { heard };
}

/** Waits for the server's close. */
export async function exerciseClosed(transport) {
  await transport.ready;
  const { closeCode, reason } = await transport.closed;
  return { closeCode, reason };
}

/** Closes with the largest code and a reason of more than ASCII, when the client is there. */
export async function serveClosed(session) {
  await session.ready;
  session.close({ closeCode: 2 ** 32 - 1, reason: 'bye €' });
}

/** Is refused; resolves to how that is said. */
export async function exerciseRefused(transport) {
  const said = (promise) =>
    promise.then(
      () => 'fulfilled',
      ({ name, source }) => `${name} of the ${source}`,
    );
  return { said: await Promise.all([said(transport.ready), said(transport.closed)]) };
}

/** A server goes away and waits for its sessions: this one goes on until it ends, with a stream from before. */
export async function exerciseDrain(transport) {
  await transport.ready;
  // Chromium opens no stream after a GOAWAY.
  const { readable, writable } = await transport.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.write(Uint8Array.of(1));
  // The server says on a stream that it has begun; a browser does not tell a script of it.
  const incoming = transport.incomingUnidirectionalStreams.getReader();
  const { value: begun } = await incoming.read();
  await begun.getReader().read();
  await transport.draining;
  await writer.write(Uint8Array.of(2, 3));
  await writer.close();
  const echoed = [];
  for (const reader = readable.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    echoed.push(...value);
  }
  transport.close({ closeCode: 7, reason: 'done' });
  const { closeCode, reason } = await transport.closed;
  return { echoed, closeCode, reason };
}

/** Closes the server, tells the client so, and serves its stream. Resolves when the server has ended. */
export async function serveDrain(session, server) {
  await session.ready;
  const { value } = await session.incomingBidirectionalStreams.getReader().read();
  const ended = server.close({ timeoutMs: 60_000 });
  const writer = (await session.createUnidirectionalStream()).getWriter();
  await writer.write(Uint8Array.of(1));
  await writer.close();
  // The client has the echo when it closes, and perhaps not acknowledged it.
  await value.readable.pipeTo(value.writable).catch(() => {});
  const { closeCode, reason } = await session.closed;
  await ended;
  return { closeCode, reason };
}
