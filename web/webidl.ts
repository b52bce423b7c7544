// Web IDL for our classes: conversions declared as data, and the shape that an interface's class must have.
// https://webidl.spec.whatwg.org/

/** Converts a JavaScript value to an IDL type, or throws the TypeError that Web IDL asks for. */
export type Converter<Type> = (value: unknown, context: string) => Type;

export const any: Converter<unknown> = (value) => value;

export const boolean: Converter<boolean> = (value) => Boolean(value);

export const DOMString: Converter<string> = (value, context) => {
  if (typeof value === 'symbol') throw new TypeError(`${context} is a symbol, which cannot become a string`);
  return String(value);
};

export const USVString: Converter<string> = (value, context) => DOMString(value, context).toWellFormed();

export const ByteString: Converter<string> = (value, context) => {
  const string = DOMString(value, context);
  for (let i = 0; i < string.length; i += 1) {
    if (string.charCodeAt(i) > 255) throw new TypeError(`${context} has a character above U+00FF`);
  }
  return string;
};

export const unrestrictedDouble: Converter<number> = (value, context) => {
  if (typeof value === 'bigint' || typeof value === 'symbol') {
    throw new TypeError(`${context} is a ${typeof value}, which cannot become a number`);
  }
  // Not `Number`, which takes the BigInt of an object's `valueOf` too.
  return +(value as number);
};

export const double: Converter<number> = (value, context) => {
  const number = unrestrictedDouble(value, context);
  if (!Number.isFinite(number)) throw new TypeError(`${context} is not a finite number`);
  return number;
};

/** What becomes of a number that doesn't fit: modulo 2^bits, a TypeError, or the nearest that fits. */
export type OutOfRange = 'wrap' | 'enforceRange' | 'clamp';

function integer(bits: number, signed: boolean): (outOfRange?: OutOfRange) => Converter<number> {
  // 64-bit types are converted within the integers that a Number holds exactly.
  const upper = bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** (signed ? bits - 1 : bits) - 1;
  const lower = signed ? (bits === 64 ? Number.MIN_SAFE_INTEGER : -(2 ** (bits - 1))) : 0;
  return (outOfRange = 'wrap') =>
    (value, context) => {
      const number = unrestrictedDouble(value, context);
      switch (outOfRange) {
        case 'enforceRange': {
          if (!Number.isFinite(number)) throw new TypeError(`${context} is not a finite number`);
          const whole = Math.trunc(number) + 0;
          if (whole < lower || whole > upper) throw new TypeError(`${context} is outside ${lower} to ${upper}`);
          return whole;
        }
        case 'clamp': {
          if (Number.isNaN(number)) return 0;
          return roundHalfEven(Math.min(Math.max(number, lower), upper));
        }
        case 'wrap':
          return wrap(number, bits, signed);
      }
    };
}

function roundHalfEven(number: number): number {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest < 0.5 || (rest === 0.5 && floor % 2 === 0)) return floor + 0;
  return floor + 1;
}

function wrap(number: number, bits: number, signed: boolean): number {
  if (!Number.isFinite(number)) return 0;
  const whole = Math.trunc(number) + 0;
  if (bits === 64) return Number(signed ? BigInt.asIntN(64, BigInt(whole)) : BigInt.asUintN(64, BigInt(whole)));
  const modulus = 2 ** bits;
  const positive = ((whole % modulus) + modulus) % modulus;
  return signed && positive >= modulus / 2 ? positive - modulus : positive;
}

export const octet = integer(8, false);
export const short = integer(16, true);
export const unsignedShort = integer(16, false);
export const long = integer(32, true);
export const unsignedLong = integer(32, false);
export const longLong = integer(64, true);
export const unsignedLongLong = integer(64, false);

/** `Type?` */
export function nullable<Type>(converter: Converter<Type>): Converter<Type | null> {
  return (value, context) => (value === null || value === undefined ? null : converter(value, context));
}

/** `sequence<Type>` */
export function sequence<Type>(converter: Converter<Type>): Converter<Type[]> {
  return (value, context) => {
    if (!isObject(value)) throw new TypeError(`${context} is not a sequence`);
    const method = (value as Partial<Iterable<unknown>>)[Symbol.iterator];
    if (typeof method !== 'function') throw new TypeError(`${context} is not a sequence`);
    const converted: Type[] = [];
    for (const item of value as Iterable<unknown>) {
      converted.push(converter(item, `${context}, item ${converted.length}`));
    }
    return converted;
  };
}

/** Every enumeration and dictionary by its name; the tests compare them with the IDL. */
export const declarations = new Map<string, readonly string[] | Members>();

/** `enum Name { … }` */
export function enumeration<const Values extends readonly string[]>(
  name: string,
  values: Values,
): Converter<Values[number]> {
  declarations.set(name, values);
  const allowed = new Set<string>(values);
  return (value, context) => {
    const string = DOMString(value, context);
    if (!allowed.has(string)) throw new TypeError(`${context}: '${string}' is not a ${name}`);
    return string as Values[number];
  };
}

/** A member of a dictionary: required, or with a default, or absent when undefined. */
export interface Member<Type> {
  readonly type: Converter<Type>;
  readonly required?: true;
  readonly default?: () => Type;
}

type Members = Readonly<Record<string, Member<unknown>>>;

/** The value of a dictionary whose members are declared so. */
export type DictionaryOf<Declared extends Members> = {
  -readonly [Name in keyof Declared as Declared[Name] extends { required: true } | { default: () => unknown }
    ? Name
    : never]: Declared[Name] extends Member<infer Type> ? Type : never;
} & {
  -readonly [Name in keyof Declared as Declared[Name] extends { required: true } | { default: () => unknown }
    ? never
    : Name]?: Declared[Name] extends Member<infer Type> ? Type : never;
};

/**
 * `dictionary Name { … }`. Members are converted in the order of their declaration, which must be Web IDL's: inherited
 * dictionaries first, members by name within each.
 */
export function dictionary<const Declared extends Members>(
  name: string,
  members: Declared,
): Converter<DictionaryOf<Declared>> {
  declarations.set(name, members);
  const entries = Object.entries(members);
  return (value, context) => {
    if (value !== undefined && value !== null && !isObject(value)) throw new TypeError(`${context} is not an object`);
    const converted: Record<string, unknown> = {};
    for (const [key, member] of entries) {
      const given = value === undefined || value === null ? undefined : (value as Record<string, unknown>)[key];
      if (given !== undefined) converted[key] = member.type(given, `${context}: ${key}`);
      else if (member.default !== undefined) converted[key] = member.default();
      else if (member.required) throw new TypeError(`${context}: required member ${key} of ${name} is undefined`);
    }
    return converted as DictionaryOf<Declared>;
  };
}

/** An interface type: an instance of the class, by its brand where it has one. */
export function instance<Type>(name: string, is: (value: unknown) => value is Type): Converter<Type> {
  return (value, context) => {
    if (!is(value)) throw new TypeError(`${context} is not a ${name}`);
    return value;
  };
}

/** A callback function type. */
export const callback: Converter<(...args: never[]) => unknown> = (value, context) => {
  if (typeof value !== 'function') throw new TypeError(`${context} is not a function`);
  return value as (...args: never[]) => unknown;
};

export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

export function isBufferSource(value: unknown): value is ArrayBuffer | ArrayBufferView {
  return ArrayBuffer.isView(value) || isArrayBuffer(value);
}

/** An ArrayBuffer of any realm. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]' && byteLengthOf(value) !== undefined;
}

const arrayBufferByteLength = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength')?.get;

function byteLengthOf(value: unknown): number | undefined {
  try {
    return arrayBufferByteLength?.call(value) as number;
  } catch {
    // Not an ArrayBuffer: the accessor checks its brand.
    return undefined;
  }
}

/**
 * `BufferSource` (`ArrayBufferView` where only views are taken): the bytes, not copied. A detached one has none. Shared and
 * resizable memory is refused, since the type has neither [AllowShared] nor [AllowResizable].
 */
export const BufferSource: Converter<Uint8Array> = (value, context) => {
  // What scripts mostly give, as it is. A Buffer is not: its `slice` makes no copy. Without bytes it may be detached.
  if (isPlain(value) && value.length > 0 && value.buffer instanceof ArrayBuffer && !isResizable(value.buffer))
    return value;
  if (ArrayBuffer.isView(value)) {
    const { buffer } = value;
    refuseSharedAndResizable(buffer, context);
    if (isDetached(buffer)) return new Uint8Array(0);
    return new Uint8Array(buffer, value.byteOffset, value.byteLength);
  }
  if (!isArrayBuffer(value)) throw new TypeError(`${context} is neither an ArrayBuffer nor a view on one`);
  refuseSharedAndResizable(value, context);
  if (isDetached(value)) return new Uint8Array(0);
  return new Uint8Array(value);
};

function refuseSharedAndResizable(buffer: ArrayBufferLike, context: string): asserts buffer is ArrayBuffer {
  if (!isArrayBuffer(buffer)) throw new TypeError(`${context} is backed by shared memory`);
  if (isResizable(buffer)) throw new TypeError(`${context} is resizable`);
}

function isPlain(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.getPrototypeOf(value) === Uint8Array.prototype;
}

function isResizable(buffer: ArrayBuffer): boolean {
  return (buffer as { resizable?: boolean }).resizable === true;
}

function isDetached(buffer: ArrayBuffer): boolean {
  if (buffer.byteLength !== 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Throws unless an operation got as many arguments as it requires. */
export function requireArguments(given: ArrayLike<unknown>, required: number, context: string): void {
  if (given.length < required) {
    throw new TypeError(`${context}: ${required} argument${required === 1 ? '' : 's'} required, ${given.length} given`);
  }
}

interface InterfaceShape {
  /** Constants: on the class and on its prototype. */
  readonly constants?: Readonly<Record<string, number>>;
  /** `length` of operations that have optional arguments: how many are required. */
  readonly lengths?: Readonly<Record<string, number>>;
  /** `length` of the constructor. */
  readonly constructorLength?: number;
  /** The interface's name where the class can't bear it. */
  readonly name?: string;
}

type Constructor = { readonly prototype: object; readonly name: string };

/** Gives a class the shape that Web IDL prescribes: enumerable members, `Symbol.toStringTag`, constants, lengths. */
export function defineInterface(Class: Constructor, shape: InterfaceShape = {}): void {
  const name = shape.name ?? Class.name;
  for (const target of [Class.prototype, Class]) {
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(target))) {
      if (key === 'constructor' || key === 'prototype' || key === 'name' || key === 'length') continue;
      if (descriptor.configurable) Object.defineProperty(target, key, { enumerable: true });
      const length = target === Class.prototype ? shape.lengths?.[key] : undefined;
      if (length !== undefined)
        Object.defineProperty(descriptor.value, 'length', { value: length, configurable: true });
    }
  }
  for (const [key, value] of Object.entries(shape.constants ?? {})) {
    Object.defineProperty(Class, key, { value, enumerable: true });
    Object.defineProperty(Class.prototype, key, { value, enumerable: true });
  }
  Object.defineProperty(Class.prototype, Symbol.toStringTag, { value: name, configurable: true });
  if (shape.name !== undefined) Object.defineProperty(Class, 'name', { value: name, configurable: true });
  if (shape.constructorLength !== undefined) {
    Object.defineProperty(Class, 'length', { value: shape.constructorLength, configurable: true });
  }
}

/** What the constructor of an interface without one throws. */
export function illegalConstructor(): TypeError {
  return new TypeError('Illegal constructor');
}
