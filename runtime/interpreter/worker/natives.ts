/**
 * Functions of Node that the sandbox's globals are built on, called in the worker thread itself.
 * Each takes and gives JSON-safe values; bytes pass as strings of one character a byte. Inputs come
 * from the guest and may be anything.
 */
import { callIntl } from "./intl.js";
import { parseYaml, stringifyYaml } from "./yaml.js";

type Input = Readonly<Record<string, unknown>>;

const MAX_RANDOM_BYTES = 65_536;

const string = (input: Input, key: string) => String(input[key] ?? "");

/** The result, or null where the call throws: the guest then throws the error of its own kind. */
function orNull<T>(make: () => T): T | null {
  try {
    return make();
  } catch {
    return null;
  }
}

const parts = (url: URL) => ({
  href: url.href,
  origin: url.origin,
  protocol: url.protocol,
  username: url.username,
  password: url.password,
  host: url.host,
  hostname: url.hostname,
  port: url.port,
  pathname: url.pathname,
  search: url.search,
  hash: url.hash,
});

type UrlPart = Exclude<keyof ReturnType<typeof parts>, "origin">;

function setUrlPart(input: Input) {
  const url = new URL(string(input, "href"));
  const part = string(input, "part");
  if (part === "origin" || !Object.hasOwn(parts(url), part)) return null;
  return orNull(() => {
    url[part as UrlPart] = string(input, "value");
    return parts(url);
  });
}

function decodeText(input: Input): string | null {
  const options = { fatal: input.fatal === true, ignoreBOM: input.ignoreBOM === true };
  const bytes = Buffer.from(string(input, "bytes"), "latin1");
  return orNull(() => new TextDecoder(string(input, "encoding"), options).decode(bytes));
}

const functions: Record<string, (input: Input) => unknown> = {
  "text.encoding": (input) => orNull(() => new TextDecoder(string(input, "label")).encoding),
  "text.decode": decodeText,
  "text.decodeBase64": (input) =>
    new TextDecoder().decode(Buffer.from(string(input, "base64"), "base64")),
  "text.encodeBase64": (input) => Buffer.from(string(input, "text"), "utf8").toString("base64"),
  "text.atob": (input) => orNull(() => atob(string(input, "text"))),
  "text.btoa": (input) => orNull(() => btoa(string(input, "text"))),

  "url.parse": (input) =>
    orNull(() =>
      parts(
        new URL(string(input, "url"), input.base === undefined ? undefined : String(input.base)),
      ),
    ),
  "url.set": setUrlPart,
  "url.params": (input) => [...new URLSearchParams(string(input, "text"))],
  "url.query": (input) => new URLSearchParams(input.pairs as [string, string][]).toString(),

  "crypto.random": (input) => {
    const size = Number(input.size);
    const bytes = Buffer.alloc(Math.min(Math.max(0, size || 0), MAX_RANDOM_BYTES));
    return crypto.getRandomValues(bytes).toString("latin1");
  },
  "crypto.uuid": () => crypto.randomUUID(),
  "clock.now": () => performance.now(),

  "yaml.parse": (input) => parseYaml(string(input, "text")),
  "yaml.stringify": (input) => stringifyYaml(input.value),

  intl: callIntl,
};

/** The functions by name. */
export const natives: ReadonlyMap<string, (input: unknown) => unknown> = new Map(
  Object.entries(functions).map(([name, call]) => [
    name,
    (input: unknown) => call(typeof input === "object" && input !== null ? (input as Input) : {}),
  ]),
);
