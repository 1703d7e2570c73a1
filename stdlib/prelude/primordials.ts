/**
 * The built-in functions that the boundary depends on, taken before any script runs, so that a
 * script which replaces them fools only itself.
 */
export const parseJson: (text: string) => unknown = JSON.parse;
export const stringify: (value: unknown) => string | undefined = JSON.stringify;
export const { apply, defineProperty } = Reflect;
export const { create, freeze } = Object;
export const BasePromise = Promise;
export const BaseError = Error;
export const BaseTypeError = TypeError;
export const BaseRangeError = RangeError;
export const BaseSyntaxError = SyntaxError;
export const toText = String;

const promiseThen = Promise.prototype.then;
const stringSlice = String.prototype.slice;
const charCodeAt = String.prototype.charCodeAt;

/** `promise.then(done, failed)`. */
export function then<Value>(
  promise: Promise<Value>,
  done: (value: Value) => void,
  failed?: (reason: unknown) => void,
): void {
  apply(promiseThen, promise, [done, failed]);
}

/** `text.slice(start, end)`. */
export function slice(text: string, start: number, end: number): string {
  return apply(stringSlice, text, [start, end]);
}

/** `text.charCodeAt(index)`. */
export function codeAt(text: string, index: number): number {
  return apply(charCodeAt, text, [index]);
}
