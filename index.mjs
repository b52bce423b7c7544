// The ESM wrapper: the same classes that `require` gives.
import webwire from './index.js';

export default webwire;
