// The marks that webwire has set itself: printed beside a measure, never a reason to fail.

/** At least `limit`, or `limit` times the rival's figure. `of` says whose figure it is, where it is not webwire's own class. */
export function atLeast(limit, rival, of = 'webwire') {
  return {
    of,
    text: `${of === 'webwire' ? '' : `${of} `}at least ${limit}${rival ? ` × ${rival}` : ''}`,
    reached: (ours, figure) => ours >= limit * (rival ? figure(rival) : 1),
  };
}

/** At most `limit`, or `limit` times the rival's figure. */
export function atMost(limit, rival) {
  return {
    of: 'webwire',
    text: rival ? `at most ${limit} × ${rival}` : `at most ${limit}`,
    reached: (ours, figure) => ours <= limit * (rival ? figure(rival) : 1),
  };
}

/** At most `more` above the rival's figure. */
export function atMostMore(more, rival) {
  return {
    of: 'webwire',
    text: `at most ${rival} + ${more}`,
    reached: (ours, figure) => ours <= figure(rival) + more,
  };
}
