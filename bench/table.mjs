// The table that `npm run bench` prints: a line for each measure, an implementation a column, then ratios and marks.

const WIDTHS = { title: 23, unit: 12, value: 20, ratio: 10 };

/** The lines for one suite. `results` maps a case's title to an implementation's figures. */
export function table(suite, results) {
  const ratios = suite.rivals.map((rival) => ({ rival, header: `÷ ${shortened(rival)}` }));
  const lines = [
    suite.title,
    [
      ''.padEnd(WIDTHS.title + WIDTHS.unit),
      ...suite.implementations.map((name) => name.padStart(WIDTHS.value)),
      ...ratios.map(({ header }) => header.padStart(WIDTHS.ratio)),
    ].join(''),
  ];
  for (const { title, measures } of suite.cases) {
    const figures = results.get(title);
    if (!figures) continue;
    measures.forEach(({ key, unit, mark }, index) => {
      const value = (name) => figures[name]?.[key];
      const ours = value('webwire');
      const columns = [
        (index === 0 ? title : '').padEnd(WIDTHS.title),
        unit.padEnd(WIDTHS.unit),
        ...suite.implementations.map((name) => short(value(name)).padStart(WIDTHS.value)),
        ...ratios.map(({ rival }) => short(ours / value(rival)).padStart(WIDTHS.ratio)),
      ];
      for (const one of [mark ?? []].flat()) columns.push(`   ${one.text}: ${verdict(one, value(one.of), value)}`);
      lines.push(`  ${columns.join('')}`.trimEnd());
    });
  }
  return lines;
}

/** `reached`, `not reached`, or that it was not measured. */
export function verdict(mark, ours, value) {
  if (ours === undefined) return 'not measured';
  return mark.reached(ours, value) ? 'reached' : 'not reached';
}

function shortened(name) {
  return name.replace('node-datachannel', 'ndc').replace('ws emitter', 'emitter').replace('raw quinn', 'quinn');
}

/** Three digits, with k and M. */
function short(value) {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value >= 999_500) return `${digits(value / 1e6)} M`;
  if (value >= 9_995) return `${digits(value / 1e3)} k`;
  return digits(value);
}

function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}
