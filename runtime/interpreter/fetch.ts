/**
 * Makes the HTTP requests of scripts, on the main thread: every hop is checked against the script's
 * permissions and must lead to a public address (`address-guard.ts`). Called by the host side of
 * the interpreter when a script uses `fetch`.
 */
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import fetch, { type Response } from "node-fetch";
import { SpacesError } from "../contract/errors.js";
import { checkPermission, guardAddress, type Resolve, resolveBySystem } from "./address-guard.js";
import type { ScriptPermissions } from "./types.js";

/** Largest body in either direction, after decompression. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_REDIRECTS = 10;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const REFUSED_METHODS = new Set(["CONNECT", "TRACE", "TRACK"]);
/** Headers that belong to the connection, or that decide where a request goes. */
const REFUSED_HEADERS =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length|expect|proxy-.*)$/;
const CREDENTIAL_HEADERS = new Set(["authorization", "cookie", "cookie2", "www-authenticate"]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** A request of which every part has been checked. */
interface Checked {
  readonly url: URL;
  readonly method: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer | undefined;
  readonly redirect: "follow" | "error" | "manual";
}

/** What the guest makes its `Response` from; `failure` alone where no answer came. */
export type FetchAnswer =
  | {
      readonly status: number;
      readonly statusText: string;
      readonly headers: readonly (readonly [string, string])[];
      /** Base64. */
      readonly body: string;
      readonly url: string;
      readonly redirected: boolean;
    }
  | { readonly failure: string };

const invalid = (message: string, suggestion: string) =>
  new SpacesError("INVALID_INPUT", `fetch(): ${message}`, { suggestion });

function readUrl(text: unknown, base?: string): URL {
  if (typeof text !== "string" || !URL.canParse(text, base)) {
    throw invalid(`${JSON.stringify(text) ?? "undefined"} is not a URL.`, "Give an absolute URL.");
  }
  const url = new URL(text, base);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new SpacesError(
      "PERMISSION_DENIED",
      `fetch(): the scheme "${url.protocol}" is refused.`,
      {
        suggestion: "Use an http: or https: URL.",
      },
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("the URL holds a user name or a password.", "Send an authorization header.");
  }
  return url;
}

function readHeaders(value: unknown): [string, string][] {
  const headers: [string, string][] = [];
  let size = 0;
  for (const entry of Array.isArray(value) ? value : []) {
    const [name, content] = Array.isArray(entry) ? entry : [];
    if (typeof name !== "string" || !TOKEN.test(name)) {
      throw invalid(`${JSON.stringify(name)} is not a header name.`, "Correct the header's name.");
    }
    if (typeof content !== "string" || !HEADER_VALUE.test(content)) {
      throw invalid(
        `the header "${name}" holds a character that headers cannot carry.`,
        "Leave line breaks, NUL and letters beyond Latin-1 out of headers.",
      );
    }
    if (REFUSED_HEADERS.test(name.toLowerCase())) {
      throw invalid(`the header "${name}" cannot be set.`, "Leave it out: the connection sets it.");
    }
    size += name.length + content.length;
    headers.push([name.toLowerCase(), content]);
  }
  if (size > MAX_HEADER_BYTES) {
    throw new SpacesError(
      "LIMIT_EXCEEDED",
      `fetch(): the headers exceed ${MAX_HEADER_BYTES} bytes.`,
    );
  }
  return headers;
}

function readBody(value: unknown): Buffer | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw invalid("the body is not base64.", "Send base64 text.");
  if (value.length > Math.ceil(MAX_BODY_BYTES / 3) * 4) {
    throw new SpacesError(
      "LIMIT_EXCEEDED",
      `fetch(): the body of the request exceeds ${MAX_BODY_BYTES} bytes.`,
    );
  }
  return Buffer.from(value, "base64");
}

function readRequest(input: unknown): Checked {
  const given = (typeof input === "object" && input !== null ? input : {}) as Record<
    string,
    unknown
  >;
  const { redirect = "follow" } = given;
  const method = String(given.method ?? "GET").toUpperCase();
  if (!TOKEN.test(method) || REFUSED_METHODS.has(method)) {
    throw invalid(`the method ${JSON.stringify(method)} is refused.`, "Use a method such as GET.");
  }
  if (redirect !== "follow" && redirect !== "error" && redirect !== "manual") {
    throw invalid("redirect must be follow, error or manual.", "Correct the option `redirect`.");
  }
  const body = readBody(given.body);
  if (body !== undefined && (method === "GET" || method === "HEAD")) {
    throw invalid(`a ${method} request cannot have a body.`, "Leave the body out, or use POST.");
  }
  const headers = readHeaders(given.headers);
  return { url: readUrl(given.url), method, headers, body, redirect };
}

async function readResponse(response: Response): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Node-fetch bodies are Node streams; leaving the loop destroys the stream and the socket.
  for await (const chunk of (response.body ?? []) as Readable | never[]) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) {
      throw new SpacesError(
        "LIMIT_EXCEEDED",
        `fetch(): the body of the response exceeds ${MAX_BODY_BYTES} bytes.`,
        { suggestion: "Ask for less at once, such as with a range header." },
      );
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** The request that a redirect asks for. */
function follow(request: Checked, status: number, location: string): Checked {
  const url = readUrl(location, request.url.href);
  if (url.hash === "") url.hash = request.url.hash;
  const becomesGet =
    (status === 303 && request.method !== "HEAD" && request.method !== "GET") ||
    ((status === 301 || status === 302) && request.method === "POST");
  const sameOrigin = url.origin === request.url.origin;
  return {
    ...request,
    url,
    method: becomesGet ? "GET" : request.method,
    body: becomesGet ? undefined : request.body,
    headers: request.headers.filter(
      ([name]) =>
        (sameOrigin || !CREDENTIAL_HEADERS.has(name)) &&
        !(becomesGet && name.startsWith("content-")),
    ),
  };
}

/**
 * Makes one request for a script.
 * @param input `{url, method?, headers?: [name, value][], body?: base64, redirect?}` as the guest
 *   sent it; nothing in it is trusted.
 * @param permissions What the script may reach. Without `net`, nothing.
 *   With `id` the request can be ended by a later `{cancel: id}`, which gives an empty object.
 * @param signal The script's own signal, the same for all of its requests; ends the request.
 * @param resolve Finds the addresses of names; the system's resolver by default.
 * @returns The whole response, or `{failure}` where the network failed.
 * @throws SpacesError `PERMISSION_DENIED`, `INVALID_INPUT`, `LIMIT_EXCEEDED` or `CANCELLED`.
 */
export async function guardedFetch(
  input: unknown,
  permissions: ScriptPermissions,
  signal: AbortSignal,
  resolve: Resolve = resolveBySystem,
): Promise<FetchAnswer | Record<string, never>> {
  const { id, cancel } = (input ?? {}) as { id?: unknown; cancel?: unknown };
  const running = requests.get(signal) ?? new Map<unknown, AbortController>();
  requests.set(signal, running);
  if (cancel !== undefined) {
    running.get(cancel)?.abort();
    return {};
  }
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const either = AbortSignal.any([signal, controller.signal]);
    return await followed(readRequest(input), permissions, either, resolve);
  } finally {
    running.delete(id);
  }
}

/** The requests under way by the script's own signal, and the number that the guest gave them. */
const requests = new WeakMap<AbortSignal, Map<unknown, AbortController>>();

async function followed(
  first: Checked,
  permissions: ScriptPermissions,
  signal: AbortSignal,
  resolve: Resolve,
): Promise<FetchAnswer> {
  let request = first;
  for (let hops = 0; ; hops++) {
    const answer = await oneHop(request, permissions, signal, resolve);
    if ("failure" in answer) return answer;
    const { response, body } = answer;
    const location = REDIRECTS.has(response.status) ? response.headers.get("location") : null;
    if (location === null || request.redirect === "manual") {
      return {
        status: response.status,
        statusText: response.statusText,
        headers: Object.entries(response.headers.raw()).flatMap(([name, values]) =>
          values.map((value) => [name, value] as const),
        ),
        body: body.toString("base64"),
        url: withoutHash(request.url),
        redirected: hops > 0,
      };
    }
    if (request.redirect === "error") return { failure: "the server answered with a redirect" };
    if (hops === MAX_REDIRECTS) return { failure: `more than ${MAX_REDIRECTS} redirects` };
    request = follow(request, response.status, location);
  }
}

function withoutHash(url: URL): string {
  const copy = new URL(url);
  copy.hash = "";
  return copy.href;
}

async function oneHop(
  request: Checked,
  permissions: ScriptPermissions,
  signal: AbortSignal,
  resolve: Resolve,
): Promise<{ response: Response; body: Buffer } | { failure: string }> {
  const { url, method, headers, body } = request;
  const guard = guardAddress(url, checkPermission(url, permissions), resolve);
  // One connection for one request: a pooled one would not have been checked for this script.
  const Agent = url.protocol === "https:" ? HttpsAgent : HttpAgent;
  const agent = new Agent({ keepAlive: false, lookup: guard.lookup });
  try {
    const response = await fetch(url.href, {
      method,
      headers: headers.map(([name, value]) => [name, value]),
      ...(body === undefined ? {} : { body }),
      redirect: "manual",
      agent,
      signal,
    });
    const redirects = REDIRECTS.has(response.status) && request.redirect === "follow";
    if (redirects) (response.body as Readable | null)?.destroy();
    return { response, body: redirects ? Buffer.alloc(0) : await readResponse(response) };
  } catch (error) {
    const refusal = guard.refusal();
    if (refusal) throw refusal;
    if (error instanceof SpacesError) throw error;
    if (signal.aborted) {
      throw new SpacesError("CANCELLED", `fetch(): the request to ${url.host} was cancelled.`, {
        cause: error,
      });
    }
    const { code, message } = error as NodeJS.ErrnoException;
    return { failure: `${method} ${url.origin} failed (${code ?? message})` };
  } finally {
    agent.destroy();
  }
}
