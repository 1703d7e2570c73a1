/** What every request passes first, calls and attachments alike: its form, its origin, its token. */
import type { IncomingMessage } from "node:http";
import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/new-id.js";
import type { Actor } from "../contract/permissions.js";
import { localActor } from "../engine/identity/local-user.js";
import type { ServerParts } from "./parts.js";

/** Headers that must not come twice: which of them counts would be a matter of taste. */
const SINGLE = new Set([
  "authorization",
  "content-length",
  "content-type",
  "host",
  "idempotency-key",
  "last-event-id",
  "mcp-session-id",
  "origin",
  "transfer-encoding",
]);

/** The id of a request: the caller's own where it is a sane one, else a new one. */
export function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && /^[A-Za-z0-9._:-]{1,64}$/.test(given) ? given : newId("req");
}

/**
 * The path and query that a request asks for.
 * @throws SpacesError `INVALID_INPUT` for a target that is no path, or one in disguise, such as with
 *   `..` or a backslash: a proxy in front of the server would take it for another
 */
export function targetOf({ url = "" }: IncomingMessage): URL {
  const text = `http://localhost${url}`;
  if (!url.startsWith("/") || !URL.canParse(text)) {
    throw new SpacesError("INVALID_INPUT", "The target of the request is not a path.");
  }
  const target = new URL(text);
  if (target.pathname !== url.split("?", 1)[0] || target.hash !== "") {
    throw new SpacesError("INVALID_INPUT", "The path of the request is not in its plain form.");
  }
  return target;
}

/** @throws SpacesError `INVALID_INPUT` for headers that are too many, or twice where one counts */
export function checkHeaders(request: IncomingMessage, most: number): void {
  const { rawHeaders } = request;
  if (rawHeaders.length / 2 > most) {
    throw new SpacesError("INVALID_INPUT", `The request has more than ${most} headers.`);
  }
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    if (!SINGLE.has(name)) continue;
    if (seen.has(name)) throw new SpacesError("INVALID_INPUT", `The header ${name} came twice.`);
    seen.add(name);
  }
}

/**
 * Who calls. Failures of one address are counted; a valid token is never refused for them, for many
 * callers may share an address.
 * @throws SpacesError `UNAUTHENTICATED`; `LIMIT_EXCEEDED` after too many failures of the address, or
 *   too many requests of the actor
 */
export async function identify(parts: ServerParts, request: IncomingMessage): Promise<Actor> {
  const actor = parts.auth === "none" ? localActor() : await authenticate(parts, request);
  await parts.admission.checkRate(actor);
  return actor;
}

async function authenticate(parts: ServerParts, request: IncomingMessage): Promise<Actor> {
  const token = bearerOf(request);
  try {
    return await parts.host.engine.identity.authenticate(token);
  } catch (error) {
    // Who gives no token guesses none.
    if (SpacesError.isInstance(error) && error.code === "UNAUTHENTICATED") {
      await parts.admission.noteFailure(request.socket.remoteAddress ?? "socket");
    }
    throw error;
  }
}

function bearerOf({ headers }: IncomingMessage): string {
  const { authorization } = headers;
  if (authorization === undefined) {
    throw new SpacesError("UNAUTHENTICATED", "The request carries no token.", {
      suggestion:
        "Set SPACES_TOKEN, run `spaces login`, or send the header authorization: Bearer spt_….",
    });
  }
  const token = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) {
    throw new SpacesError("UNAUTHENTICATED", "The authorization header holds no bearer token.");
  }
  return token;
}
