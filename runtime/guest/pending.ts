/**
 * Questions to the guest that have not been answered yet. Each is answered once, in the form that
 * was asked for, or the session fails. Used by the session.
 */
import { SpacesError } from "../contract/errors.js";
import { protocolError } from "./frames.js";

/** How long the agent may take for an answer that needs no long work. */
export const ANSWER_MS = 30_000;

interface Question {
  /** The frame type that answers it. */
  readonly answer: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

export class PendingQuestions {
  readonly #questions = new Map<number, Question>();
  readonly #onSilence: (error: SpacesError) => void;
  #last = 0;

  /** @param onSilence is told when a question was not answered in its time. */
  constructor(onSilence: (error: SpacesError) => void) {
    this.#onSilence = onSilence;
  }

  /**
   * Registers a question and asks it by `send`, which gets its number. The promise carries what
   * `settle` is given for it.
   */
  ask<T>(answer: number, timeoutMs: number, send: (request: number) => void): Promise<T> {
    this.#last = (this.#last + 1) >>> 0;
    const request = this.#last;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        const seconds = Math.round(timeoutMs / 1000);
        this.#onSilence(
          new SpacesError("DRIVER_FAILED", `The space's agent did not answer in ${seconds} s.`),
        );
      }, timeoutMs);
      timer.unref();
      this.#questions.set(request, { answer, resolve, reject, timer });
      send(request);
    }) as Promise<T>;
  }

  /** Answers question `request`. Throws `DRIVER_FAILED` when there is none that this answers. */
  settle(request: number, answer: number, value: unknown): void {
    this.#take(request, answer).resolve(value);
  }

  /** Refuses question `request`; `answer` names the only type this may refuse, if there is one. */
  refuse(request: number, error: unknown, answer?: number): void {
    this.#take(request, answer).reject(error);
  }

  /** Is question `request` waiting for this type of answer? */
  expects(request: number, answer: number): boolean {
    return this.#questions.get(request)?.answer === answer;
  }

  rejectAll(error: SpacesError): void {
    for (const question of this.#questions.values()) {
      clearTimeout(question.timer);
      question.reject(error);
    }
    this.#questions.clear();
  }

  #take(request: number, answer: number | undefined): Question {
    const question = this.#questions.get(request);
    if (question === undefined || (answer !== undefined && question.answer !== answer)) {
      throw protocolError(`an answer to question ${request}, which was not asked`);
    }
    this.#questions.delete(request);
    clearTimeout(question.timer);
    return question;
  }
}
