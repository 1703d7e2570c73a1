/** How much one caller, and all of them, may ask at once: rates and numbers of calls and streams. */
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { SpacesError } from "../contract/errors.js";
import type { Actor } from "../contract/permissions.js";
import type { ServerLimits } from "./limits.js";

type Kind = "calls" | "streams";

/** The place of a call or a stream that was let in. Disposing gives it up. */
export interface Place extends Disposable {
  /**
   * Counts what is held in memory of the call's body, until it ends.
   * @throws SpacesError `LIMIT_EXCEEDED` where the bodies of the caller, or of all, are too large together
   */
  hold(bytes: number): void;
}

export class Admission {
  readonly #limits: ServerLimits;
  readonly #requests: RateLimiterMemory;
  readonly #failures: RateLimiterMemory;
  readonly #total = { calls: 0, streams: 0, bytes: 0 };
  readonly #byActor = new Map<string, { calls: number; streams: number; bytes: number }>();

  constructor(limits: ServerLimits) {
    this.#limits = limits;
    this.#requests = new RateLimiterMemory({ points: limits.requestsPer10s, duration: 10 });
    this.#failures = new RateLimiterMemory({ points: limits.failedAuthPerMinute, duration: 60 });
  }

  /**
   * Counts a failed authentication.
   * @throws SpacesError `LIMIT_EXCEEDED` for an address that failed too often
   */
  async noteFailure(address: string): Promise<void> {
    await consume(
      this.#failures,
      address,
      "Too many failed authentications came from this address",
    );
  }

  /** Counts a request of an actor. @throws SpacesError `LIMIT_EXCEEDED` when there were too many */
  async checkRate(actor: Actor): Promise<void> {
    await consume(this.#requests, actor.id, "Too many requests");
  }

  /**
   * Lets a call or a stream begin; it ends with the disposal.
   * @throws SpacesError `LIMIT_EXCEEDED` where too many are under way
   */
  enter(actor: Actor, kind: Kind): Place {
    const mine = this.#byActor.get(actor.id) ?? { calls: 0, streams: 0, bytes: 0 };
    const most = kind === "calls" ? this.#limits.callsPerActor : this.#limits.streamsPerActor;
    if (mine[kind] >= most) {
      throw tooMany(`${mine[kind]} ${kind} of yours are under way, which is the most`, 1_000);
    }
    if (this.#total[kind] >= this.#limits[kind]) {
      throw tooMany(`${this.#total[kind]} ${kind} are under way, which is the most`, 1_000);
    }
    mine[kind] += 1;
    this.#total[kind] += 1;
    this.#byActor.set(actor.id, mine);
    let over = false;
    let held = 0;
    return {
      hold: (bytes) => {
        if (over) return;
        const { bodiesPerActorBytes, bodiesBytes } = this.#limits;
        if (mine.bytes + bytes > bodiesPerActorBytes || this.#total.bytes + bytes > bodiesBytes) {
          throw tooMany("The bodies of the calls that are under way are too large together", 1_000);
        }
        held += bytes;
        mine.bytes += bytes;
        this.#total.bytes += bytes;
      },
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        mine[kind] -= 1;
        this.#total[kind] -= 1;
        mine.bytes -= held;
        this.#total.bytes -= held;
        if (mine.calls === 0 && mine.streams === 0) this.#byActor.delete(actor.id);
      },
    };
  }
}

async function consume(limiter: RateLimiterMemory, key: string, what: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (state) {
    if (!(state instanceof RateLimiterRes)) throw state;
    throw tooMany(what, state.msBeforeNext);
  }
}

function tooMany(what: string, waitMs: number): SpacesError {
  return new SpacesError("LIMIT_EXCEEDED", `${what}.`, {
    suggestion: "Ask less often, or less at once; try again after the named time.",
    details: { retryAfterMs: Math.ceil(waitMs) },
  });
}
