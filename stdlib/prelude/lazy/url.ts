/**
 * The globals `URL` and `URLSearchParams`. The worker parses with Node's own URL, so every spelling
 * reads exactly as it does there; the parts are kept here.
 */
import type { GroupHost } from "../globals.js";

const PARTS = [
  "href",
  "protocol",
  "username",
  "password",
  "host",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
] as const;
type Part = (typeof PARTS)[number];
type UrlParts = Record<Part | "origin", string>;
type Pair = [name: string, value: string];

const CUSTOM = Symbol.for("nodejs.util.inspect.custom");

export default function makeUrl({ native }: GroupHost) {
  /** Tells the URL that owns the parameters of a change in them. */
  const owners = new WeakMap<URLSearchParams, (search: string) => void>();
  let adopt: (params: URLSearchParams, search: string) => void;

  class URLSearchParams {
    #pairs: Pair[] = [];

    static {
      adopt = (params, search) => {
        params.#pairs = native("url.params", { text: search }) as Pair[];
      };
    }

    constructor(init: unknown = "") {
      if (typeof init !== "object" || init === null) {
        adopt(this, String(init));
      } else if (Symbol.iterator in init) {
        for (const entry of init as Iterable<Iterable<unknown>>) {
          const pair = [...entry];
          if (pair.length !== 2)
            throw new TypeError("Each query pair must have a name and a value.");
          this.#pairs.push([String(pair[0]).toWellFormed(), String(pair[1]).toWellFormed()]);
        }
      } else {
        for (const [name, value] of Object.entries(init)) {
          this.#pairs.push([name.toWellFormed(), String(value).toWellFormed()]);
        }
      }
    }

    #changed() {
      owners.get(this)?.(this.toString());
    }

    get size() {
      return this.#pairs.length;
    }

    append(name: unknown, value: unknown) {
      this.#pairs.push([String(name).toWellFormed(), String(value).toWellFormed()]);
      this.#changed();
    }

    delete(name: unknown, value?: unknown) {
      const key = String(name);
      this.#pairs = this.#pairs.filter(
        (pair) => pair[0] !== key || (value !== undefined && pair[1] !== String(value)),
      );
      this.#changed();
    }

    get(name: unknown): string | null {
      return this.#pairs.find((pair) => pair[0] === String(name))?.[1] ?? null;
    }

    getAll(name: unknown): string[] {
      return this.#pairs.filter((pair) => pair[0] === String(name)).map((pair) => pair[1]);
    }

    has(name: unknown, value?: unknown): boolean {
      return this.#pairs.some(
        (pair) => pair[0] === String(name) && (value === undefined || pair[1] === String(value)),
      );
    }

    set(name: unknown, value: unknown) {
      const key = String(name).toWellFormed();
      const at = this.#pairs.findIndex((pair) => pair[0] === key);
      const pair: Pair = [key, String(value).toWellFormed()];
      if (at < 0) this.#pairs.push(pair);
      else {
        this.#pairs[at] = pair;
        this.#pairs = this.#pairs.filter((other, n) => n <= at || other[0] !== key);
      }
      this.#changed();
    }

    sort() {
      this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
      this.#changed();
    }

    forEach(
      callback: (value: string, name: string, params: URLSearchParams) => void,
      self?: unknown,
    ) {
      for (const [name, value] of this) callback.call(self, value, name, this);
    }

    *entries(): Generator<Pair, undefined> {
      for (let at = 0; at < this.#pairs.length; at++) yield [...(this.#pairs[at] as Pair)];
    }

    *keys() {
      for (const [name] of this.entries()) yield name;
    }

    *values() {
      for (const [, value] of this.entries()) yield value;
    }

    [Symbol.iterator]() {
      return this.entries();
    }

    toString(): string {
      return native("url.query", { pairs: this.#pairs }) as string;
    }

    get [Symbol.toStringTag]() {
      return "URLSearchParams";
    }

    [CUSTOM](_depth: number, _options: unknown, inspect: (value: unknown) => string) {
      return `URLSearchParams ${inspect(new Map(this.#pairs)).replace(/^Map\(\d+\) /, "")}`;
    }
  }

  function parse(url: unknown, base: unknown): UrlParts | null {
    return native("url.parse", {
      url: String(url),
      base: base === undefined ? undefined : String(base),
    }) as UrlParts | null;
  }

  class URL {
    #parts: UrlParts;
    #params: URLSearchParams | undefined;

    constructor(url: unknown, base?: unknown) {
      const parts = parse(url, base);
      if (parts === null) {
        const against = base === undefined ? "" : ` against the base "${String(base)}"`;
        throw Object.assign(new TypeError(`Invalid URL: "${String(url)}"${against}.`), {
          code: "ERR_INVALID_URL",
          input: String(url),
        });
      }
      this.#parts = parts;
    }

    static canParse(url: unknown, base?: unknown): boolean {
      return parse(url, base) !== null;
    }

    static parse(url: unknown, base?: unknown): URL | null {
      return URL.canParse(url, base) ? new URL(url, base) : null;
    }

    static {
      for (const part of PARTS) {
        Object.defineProperty(URL.prototype, part, {
          get(this: URL) {
            return this.#parts[part];
          },
          set(this: URL, value: unknown) {
            this.#set(part, String(value));
          },
          enumerable: true,
          configurable: true,
        });
      }
    }

    #set(part: Part, value: string) {
      const parts = native("url.set", { href: this.#parts.href, part, value }) as UrlParts | null;
      if (parts === null) throw new TypeError(`Invalid URL: "${value}".`);
      this.#parts = parts;
      if (this.#params) adopt(this.#params, parts.search);
    }

    get origin() {
      return this.#parts.origin;
    }

    get searchParams(): URLSearchParams {
      if (this.#params === undefined) {
        this.#params = new URLSearchParams(this.#parts.search);
        owners.set(this.#params, (search) => {
          this.#parts = native("url.set", {
            href: this.#parts.href,
            part: "search",
            value: search,
          }) as UrlParts;
        });
      }
      return this.#params;
    }

    toString() {
      return this.#parts.href;
    }

    toJSON() {
      return this.#parts.href;
    }

    get [Symbol.toStringTag]() {
      return "URL";
    }

    [CUSTOM](_depth: number, _options: unknown, inspect: (value: unknown) => string) {
      return `URL ${inspect({ ...this.#parts })}`;
    }
  }

  return { URL, URLSearchParams };
}
