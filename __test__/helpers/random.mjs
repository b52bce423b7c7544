// Numbers that look random and are the same in every run.

/** Returns a function of `limit`: whole numbers from 0 to below it, the same ones for the same seed. */
export function numbers(seed) {
  // Xorshift; 0 would stay 0.
  let state = (seed ^ 0x9e3779b9) | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}
