/**
 * The globals of scripts beyond the language itself. Use with `"lib": ["es2024"]` and without the
 * types of browsers or Node.
 */
/// <reference lib="es2024" />
/// <reference lib="esnext.iterator" />
/// <reference lib="esnext.array" />

interface Console {
  /** Writes to standard output, with `%s`, `%d`, `%i`, `%f`, `%j`, `%o`, `%O` and `%c` filled in. */
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  /** Writes to standard error. */
  error(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  /** Writes to standard error, with the stack of the caller. */
  trace(...values: unknown[]): void;
  /** Writes one value; `depth` is how many levels of nesting are shown, null for all. */
  dir(value: unknown, options?: { depth?: number | null }): void;
  table(data: unknown, columns?: readonly string[]): void;
  /** Writes to standard error when the condition does not hold. */
  assert(condition: unknown, ...values: unknown[]): void;
  count(label?: string): void;
  countReset(label?: string): void;
  time(label?: string): void;
  timeLog(label?: string, ...values: unknown[]): void;
  timeEnd(label?: string): void;
  group(...values: unknown[]): void;
  groupCollapsed(...values: unknown[]): void;
  groupEnd(): void;
}
declare var console: Console;

/** Calls back once after `ms` milliseconds. Gives a number for `clearTimeout`. */
declare function setTimeout<Args extends unknown[]>(
  callback: (...args: Args) => void,
  ms?: number,
  ...args: Args
): number;
declare function clearTimeout(id: number | undefined): void;
/** Calls back every `ms` milliseconds. Gives a number for `clearInterval`. */
declare function setInterval<Args extends unknown[]>(
  callback: (...args: Args) => void,
  ms?: number,
  ...args: Args
): number;
declare function clearInterval(id: number | undefined): void;
declare function queueMicrotask(callback: () => void): void;

/** A deep copy; functions and symbols throw a `DataCloneError`. */
declare function structuredClone<T>(value: T, options?: { transfer?: readonly ArrayBuffer[] }): T;
/** Base64 → a string of one character a byte. */
declare function atob(text: string): string;
/** A string of one character a byte → base64. */
declare function btoa(text: string): string;

interface TextEncoder {
  readonly encoding: string;
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
}
declare var TextEncoder: { new (): TextEncoder };

interface TextDecoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(bytes?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string;
}
declare var TextDecoder: {
  new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder;
};

interface URLSearchParams extends Iterable<[string, string]> {
  readonly size: number;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  sort(): void;
  forEach(callback: (value: string, name: string, params: URLSearchParams) => void): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  toString(): string;
}
declare var URLSearchParams: {
  new (
    init?: string | Record<string, string> | Iterable<readonly [string, string]>,
  ): URLSearchParams;
};

interface URL {
  href: string;
  readonly origin: string;
  protocol: string;
  username: string;
  password: string;
  host: string;
  hostname: string;
  port: string;
  pathname: string;
  search: string;
  hash: string;
  readonly searchParams: URLSearchParams;
  toString(): string;
  toJSON(): string;
}
declare var URL: {
  new (url: string | URL, base?: string | URL): URL;
  canParse(url: string | URL, base?: string | URL): boolean;
  parse(url: string | URL, base?: string | URL): URL | null;
};

interface DOMException extends Error {
  readonly code: number;
}
declare var DOMException: {
  new (message?: string, options?: string | { name?: string; cause?: unknown }): DOMException;
};

interface Event {
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly timeStamp: number;
  readonly target: EventTarget | null;
  readonly currentTarget: EventTarget | null;
  readonly defaultPrevented: boolean;
  preventDefault(): void;
  stopPropagation(): void;
  stopImmediatePropagation(): void;
}
interface EventInit {
  bubbles?: boolean;
  cancelable?: boolean;
}
declare var Event: { new (type: string, init?: EventInit): Event };

interface CustomEvent<Detail = unknown> extends Event {
  readonly detail: Detail;
}
declare var CustomEvent: {
  new <Detail>(type: string, init?: EventInit & { detail?: Detail }): CustomEvent<Detail>;
};

type EventListener = ((event: Event) => void) | { handleEvent(event: Event): void };
interface EventListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: AbortSignal;
}
interface EventTarget {
  addEventListener(
    type: string,
    listener: EventListener | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListener | null,
    options?: boolean | { capture?: boolean },
  ): void;
  dispatchEvent(event: Event): boolean;
}
declare var EventTarget: { new (): EventTarget };

interface AbortSignal extends EventTarget {
  readonly aborted: boolean;
  readonly reason: unknown;
  onabort: ((event: Event) => void) | null;
  throwIfAborted(): void;
}
declare var AbortSignal: {
  abort(reason?: unknown): AbortSignal;
  /** Aborts after so many milliseconds. */
  timeout(ms: number): AbortSignal;
  any(signals: Iterable<AbortSignal>): AbortSignal;
};
interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}
declare var AbortController: { new (): AbortController };

interface Crypto {
  getRandomValues<View extends ArrayBufferView>(view: View): View;
  randomUUID(): string;
}
declare var crypto: Crypto;

interface Performance {
  readonly timeOrigin: number;
  /** Milliseconds, with fractions. */
  now(): number;
  toJSON(): { timeOrigin: number };
}
declare var performance: Performance;

interface Headers extends Iterable<[string, string]> {
  append(name: string, value: string): void;
  delete(name: string): void;
  get(name: string): string | null;
  getSetCookie(): string[];
  has(name: string): boolean;
  set(name: string, value: string): void;
  forEach(callback: (value: string, name: string, headers: Headers) => void): void;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
}
type HeadersInit = Headers | Record<string, string> | Iterable<readonly [string, string]>;
declare var Headers: { new (init?: HeadersInit): Headers };

type BodyInit = string | ArrayBuffer | ArrayBufferView | URLSearchParams;
interface Body {
  readonly bodyUsed: boolean;
  text(): Promise<string>;
  json(): Promise<unknown>;
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  arrayBuffer(): Promise<ArrayBuffer>;
}
interface RequestInit {
  method?: string;
  headers?: HeadersInit;
  body?: BodyInit | null;
  redirect?: "follow" | "error" | "manual";
  signal?: AbortSignal | null;
}
interface Request extends Body {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly redirect: string;
  readonly signal: AbortSignal | undefined;
  clone(): Request;
}
declare var Request: { new (input: string | URL | Request, init?: RequestInit): Request };

interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: HeadersInit;
}
interface Response extends Body {
  readonly status: number;
  readonly statusText: string;
  readonly ok: boolean;
  readonly headers: Headers;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string;
  clone(): Response;
}
declare var Response: {
  new (body?: BodyInit | null, init?: ResponseInit): Response;
  json(data: unknown, init?: ResponseInit): Response;
  redirect(url: string | URL, status?: number): Response;
};

/**
 * Makes an HTTP request to a host that was opened with `--allow-net host`. Bodies up to 16 MiB.
 * Rejects with a `SpacesError` (`PERMISSION_DENIED`, `INVALID_INPUT`, `LIMIT_EXCEEDED`), or with a
 * TypeError where the network fails.
 */
declare function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;

interface ErrorConstructor {
  /** Gives an object a `stack`, as in V8. */
  captureStackTrace(target: object, above?: unknown): void;
}
