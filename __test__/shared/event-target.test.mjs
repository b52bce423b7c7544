// Event handler attributes and word of listeners. https://html.spec.whatwg.org/#event-handler-attributes

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { defineEventHandlers, onListenersChanged } = require('../../dist/event-target.js');
const { MessageEvent } = require('../../dist/message-event.js');

class Thing extends EventTarget {
  #isThing;

  static {
    defineEventHandlers(Thing, ['ping'], (value) => #isThing in value);
  }
}

test('a handler keeps its place among the listeners while it is replaced, and loses it when removed', () => {
  const thing = new Thing();
  const calls = [];
  thing.onping = () => calls.push('handler');
  thing.addEventListener('ping', () => calls.push('listener'));
  thing.onping = () => calls.push('replaced');
  thing.dispatchEvent(new Event('ping'));
  thing.onping = null;
  thing.onping = () => calls.push('again');
  thing.dispatchEvent(new Event('ping'));
  assert.deepEqual(calls, ['replaced', 'listener', 'listener', 'again']);
});

test('a handler is a callable, an object that is kept but not called, or null', () => {
  const thing = new Thing();
  assert.equal(thing.onping, null);
  const object = {};
  thing.onping = object;
  assert.equal(thing.onping, object);
  thing.dispatchEvent(new Event('ping'));
  thing.onping = 'text';
  assert.equal(thing.onping, null);
});

test('a handler gets the object as this, and false cancels the event', () => {
  const thing = new Thing();
  thing.onping = function () {
    assert.equal(this, thing);
    return false;
  };
  assert.equal(thing.dispatchEvent(new Event('ping', { cancelable: true })), false);
});

test('the attributes are enumerable accessors that check their object', () => {
  const { get, set, enumerable } = Object.getOwnPropertyDescriptor(Thing.prototype, 'onping');
  assert.equal(enumerable, true);
  assert.equal(get.name, 'get onping');
  for (const other of [{}, Thing.prototype, Object.create(Thing.prototype), undefined, 'text']) {
    assert.throws(() => get.call(other), TypeError);
    assert.throws(() => set.call(other, null), TypeError);
  }
});

test('listeners that come and go are told, whichever way', () => {
  class Watched extends EventTarget {}
  const seen = [];
  const works = onListenersChanged(Watched, (_target, type, count) => seen.push(`${type} ${count}`));
  assert.equal(works, true);
  const watched = new Watched();
  const controller = new AbortController();
  watched.addEventListener('a', () => {}, { once: true });
  EventTarget.prototype.addEventListener.call(watched, 'a', () => {}, { signal: controller.signal });
  watched.dispatchEvent(new Event('a'));
  controller.abort();
  assert.deepEqual(seen, ['a 1', 'a 2', 'a 1', 'a 0']);
});

test('our message event is the global MessageEvent to whoever asks', () => {
  const event = new MessageEvent('data', 'ws://host');
  assert.ok(event instanceof globalThis.MessageEvent);
  assert.ok(event instanceof Event);
  assert.equal(event.constructor, globalThis.MessageEvent);
  assert.equal(Object.prototype.toString.call(event), '[object MessageEvent]');
  assert.deepEqual(
    [event.type, event.data, event.origin, event.lastEventId, event.source, event.ports.length],
    ['message', 'data', 'ws://host', '', null, 0],
  );
});
