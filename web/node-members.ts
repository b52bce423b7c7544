// What Node asks of our objects beside their IDL: util.inspect shows their attributes, `using` closes them.
// https://nodejs.org/api/util.html#custom-inspection-functions-on-objects
// https://tc39.es/proposal-explicit-resource-management/

import { type InspectOptions, inspect } from 'node:util';

type Constructor<Target> = { readonly prototype: Target; readonly name: string };

interface NodeMembers<Target> {
  /** What is shown of an object. */
  shown(target: Target): object;
  /** Fulfilled when an object that was closed is so. */
  ended(target: Target): Promise<unknown>;
}

/** Gives a class `util.inspect.custom`, `Symbol.dispose` and `Symbol.asyncDispose`; none is enumerable. */
export function defineNodeMembers<Target extends { close(): void }>(
  Class: Constructor<Target>,
  { shown, ended }: NodeMembers<Target>,
): void {
  defineInspection(Class, shown);
  defineHidden(Class.prototype, {
    [Symbol.dispose](this: Target): void {
      this.close();
    },
    async [Symbol.asyncDispose](this: Target): Promise<void> {
      this.close();
      await ended(this);
    },
  });
}

/** Gives a class `util.inspect.custom` alone. */
export function defineInspection<Target extends object>(
  Class: Constructor<Target>,
  shown: (target: Target) => object,
): void {
  defineHidden(Class.prototype, {
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
  });
}

/** Defines members whose names are symbols; none is enumerable. */
function defineHidden(target: object, members: object): void {
  for (const key of Object.getOwnPropertySymbols(members)) {
    const descriptor = Object.getOwnPropertyDescriptor(members, key) as PropertyDescriptor;
    Object.defineProperty(target, key, { ...descriptor, enumerable: false });
  }
}
