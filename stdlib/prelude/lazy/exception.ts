/** The global `DOMException`, which several of the other globals throw. */

const CODES: Record<string, number> = {
  IndexSizeError: 1,
  NotFoundError: 8,
  NotSupportedError: 9,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidAccessError: 15,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  QuotaExceededError: 22,
  TimeoutError: 23,
  DataCloneError: 25,
  InvalidCharacterError: 5,
};

class DOMException extends Error {
  readonly code: number;

  constructor(message: unknown = "", options: unknown = "Error") {
    const { name, cause } =
      typeof options === "object" && options !== null
        ? (options as { name?: unknown; cause?: unknown })
        : { name: options, cause: undefined };
    super(String(message), cause === undefined ? undefined : { cause });
    const title = name === undefined ? "Error" : String(name);
    Object.defineProperty(this, "name", { value: title, configurable: true });
    this.code = Object.hasOwn(CODES, title) ? (CODES[title] ?? 0) : 0;
    Object.defineProperty(this, "code", { enumerable: false });
  }

  get [Symbol.toStringTag]() {
    return "DOMException";
  }
}

export type DOMExceptionClass = typeof DOMException;

export default () => ({ DOMException });
