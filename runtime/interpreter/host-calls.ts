/**
 * Answers the host calls of one script on the main thread: bounds how many run, aborts them when
 * the script ends, and turns every failure into an error of the registry.
 */
import { setMaxListeners } from "node:events";
import { ERRORS, SpacesError } from "../contract/errors.js";
import { MAX_CALL_LENGTH } from "./limits.js";
import type { ScriptRequest } from "./types.js";

/** The error as the sandbox rebuilds it. */
export function errorAnswer(error: SpacesError): string {
  const { code, message, suggestion, status } = error;
  const head = { code, message, suggestion, status };
  try {
    return JSON.stringify([1, { ...head, details: error.details }]);
  } catch {
    // Details of an error need not be JSON-safe; without them it still says what happened.
    return JSON.stringify([1, { ...head, details: {} }]);
  }
}

/** The answer that carries a value, or the error that says why it cannot. */
export function valueAnswer(name: string, value: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch {
    return errorAnswer(new SpacesError("INTERNAL", `The answer to ${name} is not JSON-safe.`));
  }
  if (json !== undefined && json.length > MAX_CALL_LENGTH) {
    return errorAnswer(
      new SpacesError(
        "LIMIT_EXCEEDED",
        `The answer to ${name} is ${json.length} characters of JSON; the limit is ${MAX_CALL_LENGTH}.`,
        { suggestion: "Ask for less at once, such as a part of the file or list." },
      ),
    );
  }
  return json === undefined ? "[0]" : `[0,${json}]`;
}

function toSpacesError(name: string, error: unknown): SpacesError {
  if (SpacesError.isInstance(error)) {
    return error;
  }
  // The text of a foreign error may name paths or secrets of the host: it stays here.
  return new SpacesError("INTERNAL", `${name} failed for a reason inside of the host.`, {
    suggestion: ERRORS.INTERNAL.suggestion,
    cause: error,
  });
}

/** The part of a request that its calls depend on. */
type CallRequest = Pick<ScriptRequest, "host" | "permissions" | "aroundCall">;

export class HostCalls {
  readonly #request: CallRequest;
  readonly #limit: number;
  #abort = listenedTo();
  #running = 0;

  /** @param limit calls that may run at once */
  constructor(request: CallRequest, limit: number) {
    this.#request = request;
    this.#limit = limit;
  }

  /** Makes the call and gives the JSON of its answer. Never rejects. */
  async answer(name: string, json: string): Promise<string> {
    if (this.#running >= this.#limit) {
      return errorAnswer(
        new SpacesError("LIMIT_EXCEEDED", `More than ${this.#limit} host calls run at once.`),
      );
    }
    this.#running += 1;
    try {
      const { input } = JSON.parse(json) as { readonly input?: unknown };
      const make = (): Promise<unknown> => this.#dispatch(name, input);
      const { aroundCall } = this.#request;
      const value = aroundCall === undefined ? make() : aroundCall({ name, json, input }, make);
      return valueAnswer(name, await value);
    } catch (error) {
      return errorAnswer(toSpacesError(name, error));
    } finally {
      this.#running -= 1;
    }
  }

  /** Aborts the calls that run; those made afterwards are not touched. */
  abort(): void {
    this.#abort.abort();
    this.#abort = listenedTo();
  }

  async #dispatch(name: string, input: unknown): Promise<unknown> {
    const { signal } = this.#abort;
    if (name === "fetch") {
      const { guardedFetch } = await import("./fetch.js");
      return await guardedFetch(input, this.#request.permissions ?? {}, signal);
    }
    return await this.#request.host(name, input, { signal });
  }
}

/** Each call that runs listens to it: Node would take very many for a leak. */
function listenedTo(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
