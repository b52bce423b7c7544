// The interfaces of the standards, from @webref/idl, with partials and mixins merged in.
// https://webidl.spec.whatwg.org/#idl-interfaces

import { readFileSync } from 'node:fs';
import idl from '@webref/idl';
import { parse } from 'webidl2';

/** The specifications, and for one of them the few interfaces that are ours to have. */
const SPECIFICATIONS = {
  websockets: undefined,
  webtransport: undefined,
  webrtc: undefined,
  'webrtc-encoded-transform': undefined,
  'webrtc-identity': undefined,
  'mediacapture-streams': ['MediaStream', 'MediaStreamTrack', 'MediaStreamTrackEvent'],
};

/** Interfaces of scopes that Node does not have: an identity provider's own, and a transform's worker. */
const OTHER_SCOPES = ['RTCIdentityProviderGlobalScope', 'RTCIdentityProviderRegistrar', 'DedicatedWorkerGlobalScope'];

/** Resolves to all definitions, in the order of the specifications. */
export async function definitions() {
  const files = await idl.listAll();
  const found = parse(readFileSync(new URL('websocket-stream.idl', import.meta.url), 'utf8'));
  for (const [specification, only] of Object.entries(SPECIFICATIONS)) {
    for (const definition of await files[specification].parse()) {
      if (only === undefined || only.includes(definition.name)) found.push(definition);
    }
  }
  return found;
}

/** Resolves to a map of name → `{ name, inheritance, members }`, in the order of the specifications. */
export async function interfaces() {
  const found = await definitions();
  const all = new Map();
  const mixins = new Map();
  for (const { type, name, partial, inheritance, members } of found) {
    if (type === 'interface' && !partial && !OTHER_SCOPES.includes(name)) {
      all.set(name, { name, inheritance, members: [...members] });
    } else if (type === 'interface mixin') mixins.set(name, members);
  }
  for (const { type, name, partial, members, target, includes } of found) {
    if (type === 'interface' && partial) all.get(name)?.members.push(...members);
    if (type === 'includes') all.get(target)?.members.push(...(mixins.get(includes) ?? []));
  }
  return all;
}

/** The names of the members of an interface, each once, as missing.json lists them. */
export function memberNames({ members }) {
  const names = ['(interface)'];
  for (const { type, name } of members) {
    if (type === 'constructor') names.push('constructor');
    else if (type === 'maplike') names.push(...MAPLIKE);
    else if (name) names.push(name);
  }
  return [...new Set(names)];
}

/** What `readonly maplike` brings. https://webidl.spec.whatwg.org/#js-maplike */
const MAPLIKE = ['size', 'get', 'has', 'keys', 'values', 'entries', 'forEach'];
