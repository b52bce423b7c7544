// The WHATWG stream classes of this realm, as they were when the package was loaded; ours subclass them, so that
// `pipeTo`, `tee` and async iteration work. https://streams.spec.whatwg.org/

const {
  ReadableStream: RealmReadableStream,
  WritableStream: RealmWritableStream,
  WritableStreamDefaultWriter: RealmWriter,
} = globalThis;

export {
  RealmReadableStream as ReadableStream,
  RealmWritableStream as WritableStream,
  RealmWriter as WritableStreamDefaultWriter,
};
