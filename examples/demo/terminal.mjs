// What the demo shows in a terminal: a progress bar while it runs, and one table.

const BAR = 30;
const NAME = 16;

/** A bar that grows in place; where there is no terminal, one line when it ends. */
export class ProgressBar {
  #name;
  #part = 0;
  #shown = -1;

  constructor(name) {
    this.#name = name;
    if (process.stdout.isTTY) this.show(0);
  }

  show(part) {
    this.#part = part;
    const full = Math.floor(part * BAR);
    if (full === this.#shown || !process.stdout.isTTY) return;
    this.#shown = full;
    process.stdout.write(`\r${this.#line()}`);
  }

  end(text) {
    process.stdout.write(`${process.stdout.isTTY ? '\r' : ''}${this.#line()}  ${text}\n`);
  }

  #line() {
    const full = Math.floor(this.#part * BAR);
    const percent = `${Math.floor(this.#part * 100)} %`;
    return `  ${this.#name.padEnd(NAME)}${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${percent.padStart(5)}`;
  }
}

const COLUMNS = [
  ['API', ({ api }) => api],
  ['secured by', ({ securedBy }) => securedBy],
  ['connect', ({ connectMs }) => measured(connectMs, (ms) => `${ms.toFixed(1)} ms`)],
  ['receive', ({ downMBs }) => measured(downMBs, (rate) => `${rate.toFixed(0)} MB/s`)],
  ['send', ({ upMBs }) => measured(upMBs, (rate) => `${rate.toFixed(0)} MB/s`)],
  ['round trip p50', ({ p50Us }) => measured(p50Us, (us) => `${us.toFixed(0)} µs`)],
  ['p99', ({ p99Us }) => measured(p99Us, (us) => `${us.toFixed(0)} µs`)],
  ['verified', ({ verified }) => (verified ? 'yes' : 'NO')],
];
const TEXT_COLUMNS = 2;

/** The table of all transfers. */
export function table(rows) {
  const lines = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, cell]) => cell(row)))];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => (column < TEXT_COLUMNS ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('   '),
  );
  text.splice(1, 0, widths.map((width) => '─'.repeat(width)).join('───'));
  return text.map((line) => `  ${line}`).join('\n');
}

function measured(value, show) {
  return value === undefined ? '–' : show(value);
}
