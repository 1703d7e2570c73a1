/** Who calls: told from the bearer token of a request. `exchange.ts` asks before anything else. */
import type { IncomingMessage } from "node:http";
import { localActor } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import type { Actor } from "../contract/permissions.js";

/** What the server needs of the engine's identity. */
export interface Identity {
  /** @throws SpacesError `UNAUTHENTICATED` */
  authenticate(secret: string): Promise<Actor>;
  /** The one-time token of an administrator, where there is no user yet. */
  bootstrap(): Promise<string | undefined>;
  /** A signal that aborts when the actor's token has expired or is revoked. */
  watch(actor: Actor): { readonly signal: AbortSignal; [Symbol.dispose](): void };
}

/** Everybody is the local user: for servers that only their own machine can reach. */
export class OpenAccess implements Identity {
  readonly #actor = localActor();

  async authenticate(): Promise<Actor> {
    return this.#actor;
  }

  async bootstrap(): Promise<undefined> {
    return undefined;
  }

  watch(): { readonly signal: AbortSignal; [Symbol.dispose](): void } {
    return { signal: new AbortController().signal, [Symbol.dispose]: () => undefined };
  }
}

/**
 * The token that a request carries; empty where it carries none.
 * @throws SpacesError `UNAUTHENTICATED` for another scheme
 */
export function bearerOf({ headers }: IncomingMessage): string {
  const { authorization } = headers;
  if (authorization === undefined) return "";
  const token = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) {
    throw new SpacesError("UNAUTHENTICATED", "The authorization header holds no bearer token.");
  }
  return token;
}
