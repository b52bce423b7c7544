// The objects that the hub has events for, by their numbers.

/** An object's place in the hub. */
export interface Entry {
  readonly id: number;
}

const FIRST_LENGTH = 64;

/**
 * Entries by numbers that rise. Each stands in a list, at the place that the low bits of its number name, and a number
 * whose place is taken is passed over. Small streams come and go in thousands, and a Map would be built anew all the time.
 */
export class Entries<Kind extends Entry> {
  /** Twice as many places as there are entries, or more; a power of two. */
  #places: (Kind | undefined)[] = new Array(FIRST_LENGTH).fill(undefined);
  #count = 0;
  #lastId = 0;

  /** A number that no entry has, for the next that is added. */
  nextId(): number {
    if (this.#count * 2 >= this.#places.length) this.#grow();
    const mask = this.#places.length - 1;
    do {
      // Within 32 bits; 0 is none.
      this.#lastId = (this.#lastId + 1) >>> 0 || 1;
    } while (this.#places[this.#lastId & mask] !== undefined);
    return this.#lastId;
  }

  /** Two numbers with different low bits have different ones among more of them too. */
  #grow(): void {
    const before = this.#places;
    this.#places = new Array(before.length * 2).fill(undefined);
    for (const entry of before) if (entry !== undefined) this.#places[entry.id & (this.#places.length - 1)] = entry;
  }

  add(entry: Kind): void {
    this.#places[entry.id & (this.#places.length - 1)] = entry;
    this.#count += 1;
  }

  get(id: number): Kind | undefined {
    const entry = this.#places[id & (this.#places.length - 1)];
    return entry?.id === id ? entry : undefined;
  }

  delete(entry: Kind): void {
    if (this.get(entry.id) !== entry) return;
    this.#places[entry.id & (this.#places.length - 1)] = undefined;
    this.#count -= 1;
  }

  *[Symbol.iterator](): Iterator<Kind> {
    for (const entry of this.#places) if (entry !== undefined) yield entry;
  }
}
