// The shape that WebIDL gives to an interface in JavaScript, against a class of ours.
// https://webidl.spec.whatwg.org/#js-interfaces

/** True when the class has the member; `(interface)` stands for the class itself. */
export function exists(Class, { name, members }, member) {
  if (typeof Class !== 'function') return false;
  if (member === '(interface)') return true;
  if (member === 'constructor') return isConstructible(Class);
  const definition = members.find((other) => other.name === member);
  const isStatic = definition?.special === 'static' || definition?.type === 'const';
  const holder = isStatic ? Class : Class.prototype;
  // `getWriter` and its like override an inherited member: only an own one counts.
  return Object.hasOwn(holder, member) || (name === 'RTCStatsReport' && member in holder);
}

/** A class without a constructor in the IDL answers every `new` with this TypeError. */
function isConstructible(Class) {
  try {
    new Class();
    return true;
  } catch (error) {
    return !(error instanceof TypeError && /illegal constructor/i.test(error.message));
  }
}

/** Says what differs between the class and its interface; members listed in `missing` are left out. */
export async function differences(Class, definition, missing) {
  const found = [];
  const say = (what) => found.push(`${definition.name}${what}`);
  interfaceObject(Class, definition, missing, say);
  for (const member of definition.members) {
    if (missing.has(member.name) || !member.name) continue;
    if (member.type === 'const') constant(Class, member, say);
    else if (member.type === 'attribute') await attribute(Class, member, say);
    else if (member.type === 'operation') await operation(Class, member, definition, say);
  }
  return [...new Set(found)];
}

/** Says so when a property's descriptor has other values than the expected ones. */
function compare(say, what, descriptor, expected) {
  if (!descriptor) return say(`${what} is not an own property`);
  for (const [key, value] of Object.entries(expected)) {
    if (!Object.is(descriptor[key], value)) {
      say(`${what} has ${key} ${String(descriptor[key])} instead of ${String(value)}`);
    }
  }
}

const describe = Object.getOwnPropertyDescriptor;

// https://webidl.spec.whatwg.org/#interface-object, #interface-prototype-object
function interfaceObject(Class, { name, inheritance, members }, missing, say) {
  const constructors = members.filter(({ type }) => type === 'constructor');
  const length = Math.min(...constructors.map(requiredArguments), constructors.length === 0 ? 0 : Infinity);
  const flags = { writable: false, enumerable: false, configurable: true };
  compare(say, '.name', describe(Class, 'name'), { value: name, ...flags });
  if (!missing.has('constructor')) compare(say, '.length', describe(Class, 'length'), { value: length, ...flags });
  compare(say, '.prototype', describe(Class, 'prototype'), { writable: false, enumerable: false, configurable: false });
  compare(say, '.prototype.constructor', describe(Class.prototype, 'constructor'), {
    value: Class,
    writable: true,
    enumerable: false,
    configurable: true,
  });
  compare(say, '.prototype[@@toStringTag]', describe(Class.prototype, Symbol.toStringTag), { value: name, ...flags });
  const Parent = inheritance ? parents(inheritance, Class) : Function.prototype;
  if (Object.getPrototypeOf(Class) !== Parent) say(` does not inherit from ${inheritance ?? 'Function.prototype'}`);
  const prototype = inheritance ? Parent.prototype : Object.prototype;
  if (Object.getPrototypeOf(Class.prototype) !== prototype) say(`.prototype does not inherit from ${inheritance}'s`);
  if (!throws(() => Class())) say('() does not throw a TypeError');
  if (constructors.length === 0 && isConstructible(Class)) say(' can be constructed');
  if (length > 0 && !missing.has('constructor') && !throws(() => new Class())) {
    say(' can be constructed without arguments');
  }
}

/** The parent is Node's own class, except where it is a class of ours. */
function parents(inheritance, Class) {
  return globalThis[inheritance] ?? Object.getPrototypeOf(Class);
}

// https://webidl.spec.whatwg.org/#js-constants
function constant(Class, { name, value }, say) {
  const expected = { value: Number(value.value), writable: false, enumerable: true, configurable: false };
  compare(say, `.${name}`, describe(Class, name), expected);
  compare(say, `.prototype.${name}`, describe(Class.prototype, name), expected);
}

// https://webidl.spec.whatwg.org/#js-attributes
async function attribute(Class, { name, special, readonly, idlType, extAttrs }, say) {
  const isStatic = special === 'static';
  const what = isStatic ? `.${name}` : `.prototype.${name}`;
  const descriptor = describe(isStatic ? Class : Class.prototype, name);
  compare(say, what, descriptor, { enumerable: true, configurable: true });
  if (!descriptor) return;
  const { get, set } = descriptor;
  if (!get) return say(`${what} has no getter`);
  compare(say, `${what}'s getter`, describe(get, 'name'), { value: `get ${name}` });
  compare(say, `${what}'s getter`, describe(get, 'length'), { value: 0 });
  if (Object.hasOwn(get, 'prototype')) say(`${what}'s getter is a constructor`);
  const writable = !readonly || extAttrs.some((one) => ['PutForwards', 'Replaceable'].includes(one.name));
  if (Boolean(set) !== writable) return say(`${what} has ${set ? 'a' : 'no'} setter`);
  if (set) {
    compare(say, `${what}'s setter`, describe(set, 'name'), { value: `set ${name}` });
    compare(say, `${what}'s setter`, describe(set, 'length'), { value: 1 });
  }
  if (isStatic) return;
  // One that only inherits from the prototype is another object too.
  const other = Object.create(Class.prototype);
  const getOfOthers = () => get.call(other);
  if (idlType.generic === 'Promise') {
    if (!(await rejects(getOfOthers))) say(`${what}'s getter does not reject for another object`);
  } else if (!throws(getOfOthers)) say(`${what}'s getter does not throw for another object`);
  if (set && !throws(() => set.call(other, null))) say(`${what}'s setter does not throw for another object`);
}

// https://webidl.spec.whatwg.org/#js-operations
async function operation(Class, { name, special, idlType }, { members }, say) {
  const isStatic = special === 'static';
  const what = isStatic ? `.${name}()` : `.prototype.${name}()`;
  const descriptor = describe(isStatic ? Class : Class.prototype, name);
  compare(say, what, descriptor, { writable: true, enumerable: true, configurable: true });
  const method = descriptor?.value;
  if (typeof method !== 'function') return say(`${what} is not a function`);
  const overloads = members.filter((other) => other.name === name);
  compare(say, what, describe(method, 'name'), { value: name });
  compare(say, what, describe(method, 'length'), { value: Math.min(...overloads.map(requiredArguments)) });
  if (Object.hasOwn(method, 'prototype')) say(`${what} is a constructor`);
  if (isStatic) return;
  const callOfOthers = () =>
    method.call(Object.create(Class.prototype), ...overloads[0].arguments.map(() => undefined));
  if (idlType.generic === 'Promise') {
    if (!(await rejects(callOfOthers))) say(`${what} does not reject for another object`);
  } else if (!throws(callOfOthers)) say(`${what} does not throw for another object`);
}

function requiredArguments({ arguments: list }) {
  return list.filter(({ optional, variadic }) => !optional && !variadic).length;
}

function throws(call) {
  try {
    call();
    return false;
  } catch (error) {
    return error instanceof TypeError;
  }
}

/** True when the call returns a promise that rejects with a TypeError. */
async function rejects(call) {
  let promise;
  try {
    promise = call();
  } catch {
    return false;
  }
  return (
    promise instanceof Promise &&
    promise.then(
      () => false,
      (error) => error instanceof TypeError,
    )
  );
}
