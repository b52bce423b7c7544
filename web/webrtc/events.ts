// The events of an RTCPeerConnection that carry something.
// https://w3c.github.io/webrtc-pc/#rtcpeerconnectioniceevent, https://w3c.github.io/webrtc-pc/#rtcdatachannelevent

import { Event } from '../event-target.js';
import { DOMString, defineInterface, dictionary, instance, nullable, requireArguments, USVString } from '../webidl.js';
import { isRTCDataChannel, type RTCDataChannel } from './data-channel.js';
import { isRTCIceCandidate, type RTCIceCandidate } from './ice-candidate.js';
import { eventInit } from './rtc-error.js';

const RTCPeerConnectionIceEventInit = dictionary('RTCPeerConnectionIceEventInit', {
  ...eventInit,
  candidate: { type: nullable(instance('RTCIceCandidate', isRTCIceCandidate)) },
  url: { type: nullable(USVString) },
});

export class RTCPeerConnectionIceEvent extends Event {
  readonly #candidate: RTCIceCandidate | null;
  readonly #url: string | null;

  constructor(type: unknown, eventInitDict: unknown = {}) {
    // biome-ignore lint/complexity/noArguments: the number of arguments counts, not their values.
    requireArguments(arguments, 1, 'RTCPeerConnectionIceEvent');
    const name = DOMString(type, 'RTCPeerConnectionIceEvent: type');
    const { candidate, url, ...init } = RTCPeerConnectionIceEventInit(
      eventInitDict,
      'RTCPeerConnectionIceEvent: eventInitDict',
    );
    super(name, init);
    this.#candidate = candidate ?? null;
    this.#url = url ?? null;
  }

  get candidate(): RTCIceCandidate | null {
    return this.#candidate;
  }

  get url(): string | null {
    return this.#url;
  }
}

defineInterface(RTCPeerConnectionIceEvent, { constructorLength: 1 });

const RTCDataChannelEventInit = dictionary('RTCDataChannelEventInit', {
  ...eventInit,
  channel: { type: instance('RTCDataChannel', isRTCDataChannel), required: true },
});

export class RTCDataChannelEvent extends Event {
  readonly #channel: RTCDataChannel;

  constructor(type: unknown, eventInitDict: unknown) {
    // biome-ignore lint/complexity/noArguments: the number of arguments counts, not their values.
    requireArguments(arguments, 2, 'RTCDataChannelEvent');
    const name = DOMString(type, 'RTCDataChannelEvent: type');
    const { channel, ...init } = RTCDataChannelEventInit(eventInitDict, 'RTCDataChannelEvent: eventInitDict');
    super(name, init);
    this.#channel = channel;
  }

  get channel(): RTCDataChannel {
    return this.#channel;
  }
}

defineInterface(RTCDataChannelEvent);
