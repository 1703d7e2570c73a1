/**
 * Which sites and names a server answers to. A page in a browser can make requests to any address,
 * also to this machine's own, under a name of its choice: what it asks for is refused here.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { SpacesError } from "../contract/errors.js";

export interface OriginRules {
  /** The address that is listened on; undefined for a unix socket. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  /** Further names, such as `spaces.example.org` or `localhost:8080`; all ports without one. */
  readonly allowHosts: readonly string[];
  /** Sites whose pages may call, such as `https://app.example.org`. */
  readonly allowOrigins: readonly string[];
  readonly publicUrl: string | undefined;
}

/** Whether an address is one that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (bare === "localhost" || bare === "::1") return true;
  return isIP(bare) === 4 && bare.startsWith("127.");
}

export class Origins {
  readonly #rules: OriginRules;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  constructor(rules: OriginRules) {
    this.#rules = rules;
    const own = rules.publicUrl === undefined ? undefined : new URL(rules.publicUrl);
    const hosts = own === undefined ? rules.allowHosts : [...rules.allowHosts, own.host];
    const origins = own === undefined ? rules.allowOrigins : [...rules.allowOrigins, own.origin];
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()));
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()));
  }

  /**
   * Checks by which name, and from which site, a request comes.
   * @throws SpacesError `PERMISSION_DENIED`
   */
  check({ headers }: IncomingMessage): void {
    const { origin } = headers;
    const host = (headers.host ?? "").toLowerCase();
    if (!this.#isOwnName(host)) {
      throw new SpacesError(
        "PERMISSION_DENIED",
        `This server does not answer to "${host.slice(0, 255)}".`,
        {
          suggestion:
            "Use the address that the server printed, or allow the name with --allow-host.",
        },
      );
    }
    if (origin === undefined) {
      const site = headers["sec-fetch-site"];
      const isForeign = site === "cross-site" || site === "same-site";
      // A link that somebody follows to a page is no call.
      if (!isForeign || headers["sec-fetch-mode"] === "navigate") return;
    } else if (this.#allows(origin.toLowerCase(), host)) {
      return;
    }
    throw new SpacesError(
      "PERMISSION_DENIED",
      `Pages of ${origin ?? "other sites"} may not call this server.`,
      {
        suggestion: "Allow the site with --allow-origin.",
      },
    );
  }

  /**
   * Tells browsers that a page of an allowed site may read the answer, and answers their questions
   * beforehand.
   * @returns whether the request was such a question and is answered
   */
  share(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers;
    if (this.#origins.size > 0) response.setHeader("vary", "origin");
    if (origin === undefined || !this.#origins.has(origin.toLowerCase())) return false;
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader(
      "access-control-expose-headers",
      "content-digest, idempotency-replayed, mcp-session-id, retry-after, x-request-id",
    );
    if (request.method !== "OPTIONS") return false;
    response.setHeader("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE");
    response.setHeader(
      "access-control-allow-headers",
      "authorization, content-type, idempotency-key, last-event-id, mcp-protocol-version, mcp-session-id, range, traceparent, x-request-id",
    );
    response.setHeader("access-control-max-age", "600");
    response.writeHead(204).end();
    return true;
  }

  #isOwnName(host: string): boolean {
    const { host: bound, port } = this.#rules;
    // No name leads to a unix socket.
    if (bound === undefined) return true;
    const { name, given } = splitHost(host);
    if (name === "") return false;
    if (this.#hosts.has(host) || this.#hosts.has(name)) return true;
    if (isLoopback(bound)) return isLoopback(name) && (given ?? 80) === port;
    // Who would turn a name against this server cannot do so with an address.
    const isAddress = isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;
    return this.#hosts.size === 0 || isAddress || isLoopback(name);
  }

  #allows(origin: string, host: string): boolean {
    if (this.#origins.has(origin)) return true;
    return origin === `http://${host}` || origin === `https://${host}`;
  }
}

function splitHost(host: string): { readonly name: string; readonly given: number | undefined } {
  const [, name = "", port] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
  return { name, given: port === undefined ? undefined : Number(port) };
}
