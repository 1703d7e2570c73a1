/** The class behind the global `Headers`; part of the group `fetch`. */

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CUSTOM = Symbol.for("nodejs.util.inspect.custom");

function checkName(name: unknown): string {
  const text = String(name);
  if (!NAME.test(text)) throw new TypeError(`Invalid header name: ${JSON.stringify(text)}.`);
  return text.toLowerCase();
}

function checkValue(name: string, value: unknown): string {
  const text = String(value).replace(/^[\t\r\n ]+|[\t\r\n ]+$/g, "");
  if (!VALUE.test(text)) throw new TypeError(`Invalid value for the header "${name}".`);
  return text;
}

export class Headers {
  readonly #values = new Map<string, string[]>();

  constructor(init?: unknown) {
    if (init === undefined) return;
    if (typeof init !== "object" || init === null) {
      throw new TypeError("Headers must be given as an object or as pairs.");
    }
    const pairs =
      Symbol.iterator in init ? (init as Iterable<Iterable<unknown>>) : Object.entries(init);
    for (const entry of pairs) {
      const pair = [...entry];
      if (pair.length !== 2) throw new TypeError("Each header must have a name and a value.");
      this.append(pair[0], pair[1]);
    }
  }

  append(name: unknown, value: unknown) {
    const key = checkName(name);
    this.#values.set(key, [...(this.#values.get(key) ?? []), checkValue(key, value)]);
  }

  delete(name: unknown) {
    this.#values.delete(checkName(name));
  }

  get(name: unknown): string | null {
    return this.#values.get(checkName(name))?.join(", ") ?? null;
  }

  getSetCookie(): string[] {
    return [...(this.#values.get("set-cookie") ?? [])];
  }

  has(name: unknown): boolean {
    return this.#values.has(checkName(name));
  }

  set(name: unknown, value: unknown) {
    const key = checkName(name);
    this.#values.set(key, [checkValue(key, value)]);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown) {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }

  *entries(): Generator<[string, string]> {
    for (const name of [...this.#values.keys()].sort()) {
      const values = this.#values.get(name) ?? [];
      if (name === "set-cookie") for (const value of values) yield [name, value];
      else yield [name, values.join(", ")];
    }
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

  get [Symbol.toStringTag]() {
    return "Headers";
  }

  [CUSTOM](_depth: number, _options: unknown, inspect: (value: unknown) => string) {
    return `Headers ${inspect(Object.fromEntries(this))}`;
  }
}
