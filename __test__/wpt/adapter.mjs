// What web-platform-tests find in their global scope; loaded by the runner (scripts/wpt.mjs) in each test process.

import webwire from '../../index.js';

const globals = Object.fromEntries(
  Object.entries(webwire).filter(([name, value]) => typeof value === 'function' && /^[A-Z]/.test(name)),
);

export default { name: 'webwire', globals };
