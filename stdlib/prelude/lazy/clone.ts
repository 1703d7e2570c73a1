/** The global `structuredClone`. */
import type { GroupHost } from "../globals.js";
import type { DOMExceptionClass } from "./exception.js";

const ERRORS = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
const BOXES = [Number, String, Boolean];

export default function makeClone({ use }: GroupHost) {
  const refuse = (what: string): never => {
    const { DOMException } = use("exception") as { DOMException: DOMExceptionClass };
    throw new DOMException(`${what} could not be cloned.`, "DataCloneError");
  };

  function cloneError(error: Error, copy: (value: unknown) => unknown, seen: (to: object) => void) {
    const Kind = ERRORS.find((kind) => error.name === kind.name) ?? Error;
    const result = new Kind(error.message);
    seen(result);
    Object.defineProperty(result, "stack", {
      value: error.stack,
      writable: true,
      configurable: true,
    });
    if (Object.hasOwn(error, "cause")) {
      Object.defineProperty(result, "cause", {
        value: copy(error.cause),
        writable: true,
        configurable: true,
      });
    }
    return result;
  }

  /** A copy of what has no members to copy, or undefined where there are. */
  function cloneWhole(value: object, copy: (value: unknown) => unknown): object | undefined {
    if (value instanceof Date) return new Date(value.getTime());
    if (value instanceof RegExp) return new RegExp(value.source, value.flags);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (value instanceof DataView) {
      const buffer = copy(value.buffer) as ArrayBuffer;
      return new DataView(buffer, value.byteOffset, value.byteLength);
    }
    if (ArrayBuffer.isView(value)) {
      const view = value as Uint8Array;
      const Kind = view.constructor as new (buffer: unknown, at: number, size: number) => object;
      return new Kind(copy(view.buffer), view.byteOffset, view.length);
    }
    if (BOXES.some((box) => value instanceof box) || value instanceof BigInt) {
      return Object(value.valueOf()) as object;
    }
    return undefined;
  }

  function structuredClone(value: unknown, options: { transfer?: Iterable<unknown> } = {}) {
    const copies = new Map<unknown, unknown>();
    for (const item of options.transfer ?? []) {
      if (!(item instanceof ArrayBuffer) || copies.has(item)) {
        refuse("A value in the transfer list");
      }
      copies.set(item, (item as ArrayBuffer & { transfer(): ArrayBuffer }).transfer());
    }

    function copy(from: unknown): unknown {
      if (typeof from === "symbol") return refuse(String(from));
      if (typeof from === "function") return refuse(`The function "${from.name}"`);
      if (typeof from !== "object" || from === null) return from;
      if (copies.has(from)) return copies.get(from);
      const seen = (to: object) => void copies.set(from, to);

      const whole = cloneWhole(from, copy);
      if (whole) {
        seen(whole);
        return whole;
      }
      if (from instanceof Error) return cloneError(from, copy, seen);
      if (from instanceof Map) {
        const to = new Map();
        seen(to);
        for (const [key, item] of [...from]) to.set(copy(key), copy(item));
        return to;
      }
      if (from instanceof Set) {
        const to = new Set();
        seen(to);
        for (const item of [...from]) to.add(copy(item));
        return to;
      }
      if (from instanceof WeakMap || from instanceof WeakSet || from instanceof WeakRef) {
        return refuse("A weak reference");
      }
      if (from instanceof Promise) return refuse("A promise");
      const to: object = Array.isArray(from) ? new Array(from.length) : {};
      seen(to);
      for (const key of Object.keys(from)) {
        Object.defineProperty(to, key, {
          value: copy((from as Record<string, unknown>)[key]),
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
      return to;
    }

    return copy(value);
  }

  return { structuredClone };
}
