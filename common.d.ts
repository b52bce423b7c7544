// What the three APIs share in their types. Needs @types/node; lib.dom only adds its own names for the same things.

import type { X509Certificate } from 'node:crypto';

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

/** What TLS says of a server's client. */
export interface ClientTls {
  /** The name that it asked for (SNI), or an empty string. */
  readonly servername: string;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly protocol: string;
  /** Whether it was asked for a certificate, and has one that can be trusted. */
  readonly authorized: boolean;
  /** Its certificate, trusted or not. */
  readonly peerCertificate: X509Certificate | undefined;
}

/** The certificates of a server. */
export interface ServerCertificates {
  /** Certificate chain. */
  cert?: Pem;
  /** The private key of `cert`. */
  key?: Pem;
  /**
   * Certificates by the name that a client asks for (SNI); `*.` at the start of a name stands for one label. Other clients
   * get `cert`, or are refused when there is none.
   */
  certificates?: Record<string, { cert: Pem; key: Pem }>;
}

/** What a server asks its clients for. */
export interface ClientCertificateOptions {
  /** Whether clients are asked for a certificate. Default `false`. */
  requestCert?: boolean;
  /** Authorities that may have issued it, instead of those that Node trusts. */
  ca?: Pem | Pem[];
  /** `false` lets in clients without a certificate to be trusted; `request.tls.authorized` tells them apart. */
  rejectUnauthorized?: boolean;
}

/** Where a server listens. Of a unix-domain socket (or a named pipe) the address is its path, and the port 0. */
export interface ServerAddress {
  address: string;
  family: 'IPv4' | 'IPv6' | 'Unix';
  port: number;
}
