// What the three APIs share in their types. Needs @types/node; lib.dom only adds its own names for the same things.

/** A listener as `addEventListener` takes it. https://dom.spec.whatwg.org/#callbackdef-eventlistener */
export type Listener<Target, Type> = ((this: Target, event: Type) => unknown) | { handleEvent(event: Type): unknown };

/**
 * An `on…` attribute. https://html.spec.whatwg.org/#event-handler-attributes
 * Names no type for `this` (it is the object that the handler is assigned to), so that our objects are also lib.dom's.
 */
export type Handler<Type> = ((event: Type) => unknown) | null;

/** https://dom.spec.whatwg.org/#dictdef-addeventlisteneroptions */
export interface ListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: AbortSignal;
}

/** An `EventTarget` whose events are known by name. */
export interface Listening<Events> {
  addEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: Listener<this, Events[Type]> | null,
    options?: boolean | ListenerOptions,
  ): void;
  addEventListener(type: string, listener: Listener<this, Event> | null, options?: boolean | ListenerOptions): void;
  removeEventListener<Type extends keyof Events & string>(
    type: Type,
    listener: Listener<this, Events[Type]> | null,
    options?: boolean | { capture?: boolean },
  ): void;
  removeEventListener(
    type: string,
    listener: Listener<this, Event> | null,
    options?: boolean | { capture?: boolean },
  ): void;
}

/** Node's `EventTarget`, to the types a class whose events are known by name. It is no value of the package. */
export const EventTargetOf: {
  new <Events>(): Listening<Events> & EventTarget;
  readonly prototype: EventTarget;
};

/** Bytes as WebIDL takes them. https://webidl.spec.whatwg.org/#BufferSource */
export type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;

/** How binary messages arrive: as `Blob` or `ArrayBuffer`. https://websockets.spec.whatwg.org/#binarytype */
export type BinaryType = 'blob' | 'arraybuffer';

/** PEM text, as a string or as its bytes. */
export type Pem = string | ArrayBufferView | ArrayBuffer;

/** TLS of a connection to a server. What Node trusts is trusted; names are always checked with the certificate. */
export interface TlsOptions {
  /** Authorities to trust instead of Node's. */
  ca?: Pem | Pem[];
  /** Our own certificate chain, for servers that ask for one. */
  cert?: Pem;
  /** The private key of `cert`. */
  key?: Pem;
  /** The name to ask for and to check, where it is not the URL's host. */
  servername?: string;
  /** `false` accepts any certificate. Nothing else turns verification off. Default `true`. */
  rejectUnauthorized?: boolean;
}

/** Where a server listens. Of a unix-domain socket (or a named pipe) the address is its path, and the port 0. */
export interface ServerAddress {
  address: string;
  family: 'IPv4' | 'IPv6' | 'Unix';
  port: number;
}
