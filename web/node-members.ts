// What Node asks of our objects beside their IDL: util.inspect shows their attributes, `using` closes them.
// https://nodejs.org/api/util.html#custom-inspection-functions-on-objects
// https://tc39.es/proposal-explicit-resource-management/

import { type InspectOptions, inspect } from 'node:util';

interface NodeMembers<Target> {
  /** What is shown of an object. */
  shown(target: Target): object;
  /** Fulfilled when an object that was closed is so. */
  ended(target: Target): Promise<unknown>;
}

/** Gives a class `util.inspect.custom`, `Symbol.dispose` and `Symbol.asyncDispose`; none is enumerable. */
export function defineNodeMembers<Target extends { close(): void }>(
  Class: { readonly prototype: Target; readonly name: string },
  { shown, ended }: NodeMembers<Target>,
): void {
  const members = {
    [inspect.custom](this: Target, depth: number, options: InspectOptions): string {
      const name = (Object(this).constructor as { name?: string } | undefined)?.name ?? Class.name;
      let attributes: object;
      try {
        attributes = shown(this);
      } catch {
        // Made from the prototype, and no such object.
        return `${name} {}`;
      }
      return depth < 0 ? `[${name}]` : `${name} ${inspect(attributes, { ...options, depth })}`;
    },
    [Symbol.dispose](this: Target): void {
      this.close();
    },
    async [Symbol.asyncDispose](this: Target): Promise<void> {
      this.close();
      await ended(this);
    },
  };
  for (const [key, descriptor] of symbolsOf(members)) {
    Object.defineProperty(Class.prototype, key, { ...descriptor, enumerable: false });
  }
}

function symbolsOf(members: object): [symbol, PropertyDescriptor][] {
  return Object.getOwnPropertySymbols(members).map((key) => [
    key,
    Object.getOwnPropertyDescriptor(members, key) as PropertyDescriptor,
  ]);
}
