// The WHATWG stream classes of this realm, as they were when the package was loaded; ours subclass them, so that
// `pipeTo`, `tee` and async iteration work. https://streams.spec.whatwg.org/

const {
  ReadableStream: RealmReadableStream,
  WritableStream: RealmWritableStream,
  WritableStreamDefaultWriter: RealmWriter,
} = globalThis;

/**
 * Closes a byte stream; a read into a buffer is answered with no bytes. Where a read has got a part of one of its view's elements
 * (a `Uint16Array`, and the end behind an odd byte) the stream errors instead: the exception says no more than that.
 * https://streams.spec.whatwg.org/#readable-byte-stream-controller-close
 */
export function closeByteStream(controller: ReadableByteStreamController): void {
  try {
    controller.close();
  } catch (error) {
    const hasErrored = controller.desiredSize === null;
    if (!hasErrored) throw error;
    return;
  }
  controller.byobRequest?.respond(0);
}

export {
  RealmReadableStream as ReadableStream,
  RealmWritableStream as WritableStream,
  RealmWriter as WritableStreamDefaultWriter,
};
