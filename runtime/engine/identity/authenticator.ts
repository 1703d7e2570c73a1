/** Tells whose a token is. The server asks for every request, so answers are kept for a moment. */
import { SpacesError } from "../../contract/errors.js";
import type { Actor } from "../../contract/permissions.js";
import type { Store } from "../../store/store.js";
import { actorOf, principalsOf, type Refusal, refusalOf } from "./principals.js";
import { hashOfSecret, isTokenSecret } from "./token-secret.js";

/** How long another process's change may go unnoticed. */
const KEEP_MS = 1_000;
const MOST_KEPT = 1_000;
/** How exact `last_used_at` is. */
const USED_EVERY_MS = 60_000;

interface Kept {
  readonly actor: Actor;
  readonly until: number;
}

export class Authenticator {
  readonly #store: Store;
  readonly #kept = new Map<string, Kept>();
  readonly #noted = new Map<string, number>();
  #epoch = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * The actor of a token.
   * @throws SpacesError `UNAUTHENTICATED` for one that is unknown, revoked, expired, or of a user who
   *   is disabled
   */
  async authenticate(secret: string): Promise<Actor> {
    if (!isTokenSecret(secret)) throw refused("unknown");
    const hash = hashOfSecret(secret);
    const kept = this.#kept.get(hash);
    if (kept !== undefined && kept.until > Date.now()) return kept.actor;
    const epoch = this.#epoch;
    const [principal] = await principalsOf(this.#store, "hash", [hash]);
    if (principal === undefined) throw refused("unknown");
    const refusal = refusalOf(principal);
    if (refusal !== undefined) throw refused(refusal);
    const actor = actorOf(principal);
    // What was read before a change that has been made meanwhile must not be kept.
    if (epoch === this.#epoch) this.#keep(hash, actor);
    await this.#noteUsed(principal.token.id);
    return actor;
  }

  /** Forgets what is kept: after every change of users, roles and tokens by this process. */
  forget(): void {
    this.#epoch += 1;
    this.#kept.clear();
  }

  #keep(hash: string, actor: Actor): void {
    if (this.#kept.size >= MOST_KEPT) this.#kept.clear();
    const expiresAt = actor.token?.expiresAt;
    const end = expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiresAt);
    this.#kept.set(hash, { actor, until: Math.min(Date.now() + KEEP_MS, end) });
  }

  async #noteUsed(id: string): Promise<void> {
    const now = Date.now();
    if (now - (this.#noted.get(id) ?? 0) < USED_EVERY_MS) return;
    if (this.#noted.size >= MOST_KEPT) this.#noted.clear();
    this.#noted.set(id, now);
    const before = new Date(now - USED_EVERY_MS).toISOString();
    const written = this.#store
      .updateTable("tokens")
      .set({ last_used_at: new Date(now).toISOString() })
      .where("id", "=", id)
      .where((where) =>
        where.or([where("last_used_at", "is", null), where("last_used_at", "<", before)]),
      )
      .execute();
    // A full disk must not lock out those who could make room; the next minute tries again.
    await written.catch(() => undefined);
  }
}

/** Who held a token may hear what became of it; anyone else is told nothing. */
const REASONS: Readonly<Record<NonNullable<Refusal> | "unknown", string>> = {
  unknown: "The token is not valid.",
  revoked: "The token was revoked.",
  expired: "The token has expired.",
  disabled: "The token's user is disabled.",
};

/** The error of a token that is refused. */
export function refused(why: NonNullable<Refusal> | "unknown"): SpacesError {
  return new SpacesError("UNAUTHENTICATED", REASONS[why]);
}
