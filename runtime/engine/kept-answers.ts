/**
 * Answers to calls that must not be made twice, kept by the key that their caller gave them: who asks
 * again with the same key gets the answer, and nothing is done again. The server uses it.
 */
import { SpacesError } from "../contract/errors.js";
import { livenessOf, PROCESS_IDENTITY } from "../process-identity.js";
import type { Store } from "../store/store.js";
import type { SecretBox } from "./secrets.js";

export interface KeptAnswer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
}

/** A call that was let through; exactly one of both is to be called. */
export interface KeyedCall {
  /** Keeps the answer. */
  keep(answer: KeptAnswer): Promise<void>;
  /** Frees the key: nothing was done. */
  free(): Promise<void>;
}

export class KeptAnswers {
  readonly #store: Store;
  readonly #secrets: SecretBox;
  readonly #keepMs: number;

  /** @param keepMs milliseconds for which answers are kept */
  constructor(store: Store, secrets: SecretBox, keepMs: number) {
    this.#store = store;
    this.#secrets = secrets;
    this.#keepMs = keepMs;
  }

  /**
   * Begins a call with a key.
   * @param request what is asked for, hashed; the same for the same request
   * @returns the kept answer, or the call that is to be made now
   * @throws SpacesError `INVALID_INPUT` for a key that was used for another request; `CONFLICT` while
   *   the first call is under way; `INTERRUPTED` where its process died before it was done
   */
  async begin(actor: string, key: string, request: string): Promise<KeptAnswer | KeyedCall> {
    const now = Date.now();
    const row = await this.#store.transaction().execute(async (transaction) => {
      await transaction
        .deleteFrom("kept_answers")
        .where("actor", "=", actor)
        .where("key", "=", key)
        .where("created_ms", "<", now - this.#keepMs)
        .execute();
      const made = await transaction
        .insertInto("kept_answers")
        .values({ actor, key, request, holder: PROCESS_IDENTITY, created_ms: now })
        .onConflict((conflict) => conflict.columns(["actor", "key"]).doNothing())
        .returning("key")
        .executeTakeFirst();
      if (made !== undefined) return undefined;
      return await transaction
        .selectFrom("kept_answers")
        .selectAll()
        .where("actor", "=", actor)
        .where("key", "=", key)
        .executeTakeFirstOrThrow();
    });
    const place = `answer/${actor}/${key}`;
    if (row === undefined) return this.#keyedCall(actor, key, place);
    if (row.request !== request) {
      throw new SpacesError("INVALID_INPUT", "The idempotency key was used for another request.", {
        suggestion: "Use a key of its own for each request.",
      });
    }
    if (row.status !== null && row.body !== null) {
      return { status: row.status, body: await this.#secrets.decrypt(row.body, place) };
    }
    if (livenessOf(row.holder) === "dead") {
      throw new SpacesError(
        "INTERRUPTED",
        "The server ended while it did this; how far it came is not known.",
        { suggestion: "Look at what is there, then ask again with another idempotency key." },
      );
    }
    throw new SpacesError("CONFLICT", "A request with this idempotency key is under way.", {
      suggestion: "Ask again with the same key in a moment.",
    });
  }

  /** Forgets answers that have been kept long enough. */
  async sweep(): Promise<void> {
    await this.#store
      .deleteFrom("kept_answers")
      .where("created_ms", "<", Date.now() - this.#keepMs)
      .execute();
  }

  #keyedCall(actor: string, key: string, place: string): KeyedCall {
    return {
      keep: async ({ status, body }) => {
        await this.#store
          .updateTable("kept_answers")
          .set({ status, body: await this.#secrets.encrypt(body, place) })
          .where("actor", "=", actor)
          .where("key", "=", key)
          .execute();
      },
      free: async () => {
        await this.#store
          .deleteFrom("kept_answers")
          .where("actor", "=", actor)
          .where("key", "=", key)
          .execute();
      },
    };
  }
}
