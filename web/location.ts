// Of a host that has one (a browser-like environment): the base of URLs, and the Origin of requests.
// https://html.spec.whatwg.org/multipage/webappapis.html#api-base-url

export function location(): { href?: string; origin?: string } {
  const { href, origin } = (globalThis as { location?: { href?: unknown; origin?: unknown } }).location ?? {};
  return {
    ...(typeof href === 'string' ? { href } : {}),
    ...(typeof origin === 'string' ? { origin } : {}),
  };
}
