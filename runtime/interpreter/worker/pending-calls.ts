/**
 * The host calls of one sandbox whose answers come later, and the check that every call passes
 * before it leaves. Used by `guest.ts`.
 */
import { ERRORS, SpacesError } from "../../contract/errors.js";
import { MAX_CALL_LENGTH, MAX_CALLS_LENGTH } from "../limits.js";
import { isCallName, type ReplyMessage } from "../protocol.js";
import type { Bridge } from "./bridge.js";

/** A call as the prelude writes it. */
export interface CallRequest {
  readonly name: string;
  readonly input?: unknown;
}

/** The JSON by which the prelude knows a failure: of the registry (1), or of the worker's Node (2). */
export function answerError(error: unknown): string {
  if (SpacesError.isInstance(error)) {
    const { code, message, suggestion, details, status } = error;
    return JSON.stringify([1, { code, message, suggestion, details, status }]);
  }
  const { name, message } =
    error instanceof Error ? error : { name: "Error", message: "The call failed." };
  return JSON.stringify([2, { name, message }]);
}

/** The error of a limit that a script has met. */
export function limitExceeded(message: string): SpacesError {
  return new SpacesError("LIMIT_EXCEEDED", message, {
    suggestion: ERRORS.LIMIT_EXCEEDED.suggestion,
  });
}

export class PendingCalls {
  readonly #bridge: Bridge;
  /** Ids of the guest's promise calls by the ids of the bridge. */
  readonly #calls = new Map<number, { readonly guestId: number; readonly length: number }>();
  /** Calls that were refused without being sent: answers that the loop delivers. */
  #refused: { readonly guestId: number; readonly answer: string }[] = [];
  #length = 0;
  /** The guest's number of the call that was sent last. */
  lastId = 0;

  constructor(bridge: Bridge) {
    this.#bridge = bridge;
  }

  /** How many calls have no answer yet. */
  get size(): number {
    return this.#calls.size + this.#refused.length;
  }

  /** Whether there are answers that `take` gives without any having come. */
  get hasRefused(): boolean {
    return this.#refused.length > 0;
  }

  /** Why a call may not be made; undefined where it may. */
  refusal(name: string, json: string): SpacesError | undefined {
    if (!isCallName(name)) {
      return new SpacesError("INVALID_INPUT", `"${String(name).slice(0, 100)}" is no host call.`);
    }
    if (json.length > MAX_CALL_LENGTH) {
      return limitExceeded(
        `The input of ${name} is ${json.length} characters of JSON; the limit is ${MAX_CALL_LENGTH}.`,
      );
    }
    if (this.#length + json.length > MAX_CALLS_LENGTH) {
      return limitExceeded(
        `The calls under way hold more than ${MAX_CALLS_LENGTH} characters of JSON.`,
      );
    }
    return undefined;
  }

  /** Sends a call, given as JSON of `[id, request]`. */
  send(json: string): void {
    const [guestId, request] = JSON.parse(json) as [number, CallRequest];
    const input = json.slice(json.indexOf(",") + 1, -1);
    this.lastId = Math.max(this.lastId, guestId);
    const refusal = this.refusal(request.name, input);
    if (refusal !== undefined) {
      this.#refused.push({ guestId, answer: answerError(refusal) });
      return;
    }
    const id = this.#bridge.sendCall(request.name, input);
    this.#calls.set(id, { guestId, length: input.length });
    this.#length += input.length;
  }

  /** JSON of what the guest's hook `settle` takes; undefined where nothing is to be settled. */
  take(replies: readonly ReplyMessage[]): string | undefined {
    const settled = this.#refused.map(({ guestId, answer }) => `[${guestId},${answer.slice(1)}`);
    this.#refused = [];
    for (const reply of replies) {
      const call = this.#calls.get(reply.id);
      if (call !== undefined) {
        this.#forget(reply.id, call.length);
        settled.push(`[${call.guestId},${reply.answer.slice(1)}`);
      }
    }
    return settled.length > 0 ? `[${settled.join(",")}]` : undefined;
  }

  /** Forgets the calls that the guest made after the one of this number. */
  dropAfter(mark: number): void {
    this.#refused = this.#refused.filter(({ guestId }) => guestId <= mark);
    for (const [id, { guestId, length }] of this.#calls) {
      if (guestId > mark) {
        this.#forget(id, length);
      }
    }
  }

  #forget(id: number, length: number): void {
    this.#calls.delete(id);
    this.#length -= length;
  }
}
