// The limit of time for a test.

/** For one test with another program, its start included. */
export const TIMEOUT_MS = 120_000;
