/**
 * Watches the tokens of calls that take long, such as streams: a call ends when its token is refused
 * or allows less, whichever process changed it.
 */
import { SpacesError } from "../../contract/errors.js";
import type { Actor } from "../../contract/permissions.js";
import type { Store } from "../../store/store.js";
import { refused } from "./authenticator.js";
import { type Principal, principalsOf, refusalOf } from "./principals.js";

const POLL_MS = 1_000;

/** A watch on an actor's token. Disposing ends it. */
export interface Watch extends Disposable {
  /** Aborted, with an `UNAUTHENTICATED` error as its reason, when the actor may not go on. */
  readonly signal: AbortSignal;
}

interface Watched {
  readonly actor: Actor;
  readonly tokenId: string;
  readonly abort: AbortController;
}

export class Watcher {
  readonly #store: Store;
  readonly #watched = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Watches an actor's token; without a token there is nothing that could end.
   * @param abort what is aborted then, where the caller has something to abort already
   */
  watch(actor: Actor, abort = new AbortController()): Watch {
    if (actor.token === undefined)
      return { signal: abort.signal, [Symbol.dispose]: () => undefined };
    const watched = { actor, tokenId: actor.token.id, abort };
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref();
    return { signal: abort.signal, [Symbol.dispose]: () => this.#release(watched) };
  }

  /** Compares all that is watched with the store as it is now. */
  async check(): Promise<void> {
    // One that is under way may have read the store before the change that this call is about.
    while (this.#checking !== undefined) await this.#checking.catch(() => undefined);
    this.#checking = this.#compare();
    try {
      await this.#checking;
    } finally {
      this.#checking = undefined;
    }
  }

  /** Ends the polling; nothing is watched any more. */
  close(): void {
    this.#watched.clear();
    this.#rest();
  }

  #poll(): void {
    if (this.#checking !== undefined) return;
    // A store that cannot be read now is read again at the next turn.
    this.check().catch(() => undefined);
  }

  async #compare(): Promise<void> {
    const ids = new Set([...this.#watched].map(({ tokenId }) => tokenId));
    if (ids.size === 0) return;
    const before = new Set(this.#watched);
    const principals = await principalsOf(this.#store, "id", [...ids]);
    const byToken = new Map(principals.map((principal) => [principal.token.id, principal]));
    for (const watched of before) {
      const reason = endOf(watched.actor, byToken.get(watched.tokenId));
      if (reason === undefined || !this.#watched.has(watched)) continue;
      this.#release(watched);
      watched.abort.abort(reason);
    }
  }

  #release(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size === 0) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Why an actor may not go on; undefined where it may. */
function endOf(actor: Actor, now: Principal | undefined): SpacesError | undefined {
  if (now === undefined) return refused("revoked");
  const refusal = refusalOf(now);
  if (refusal !== undefined) return refused(refusal);
  const lost = [...actor.permissions].filter((permission) => !now.permissions.has(permission));
  if (lost.length === 0) return undefined;
  return new SpacesError("UNAUTHENTICATED", `The token lost permissions: ${lost.join(", ")}.`, {
    suggestion: "Call again, to go on with the permissions that are left.",
  });
}
