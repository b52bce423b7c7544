// What a header may be made of. https://www.rfc-editor.org/rfc/rfc9110#section-5

/** A name, and a subprotocol. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be in a header's value.
export const NOT_IN_A_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;
