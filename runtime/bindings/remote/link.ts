/**
 * The contract's client over HTTP: oRPC's OpenAPI link says which request a call is, and this sends
 * it and reads what comes back. `remote.ts` makes one for each binding.
 */
import { createORPCClient } from "@orpc/client";
import type { StandardLinkClient } from "@orpc/client/standard";
import {
  type AnyContractProcedure,
  getEventIteratorSchemaDetails,
  isContractProcedure,
} from "@orpc/contract";
import { RequestValidationPlugin } from "@orpc/contract/plugins";
import { StandardOpenAPILink } from "@orpc/openapi-client/standard";
import type { StandardHeaders, StandardLazyResponse, StandardRequest } from "@orpc/standard-server";
import { type Client, contract } from "../../contract/contract.js";
import { SpacesError } from "../../contract/errors.js";
import type { ProcedureMeta } from "../../contract/procedure.js";
import { readBytes } from "./byte-stream.js";
import { readEvents } from "./event-stream.js";
import { foreignAnswer, isRecord, type RemoteFailure, spacesErrorOf } from "./failures.js";
import { type Followed, followThrough } from "./follow.js";
import { FollowedProcess } from "./followed-process.js";
import { FollowedRun } from "./followed-run.js";
import { type HttpAnswer, type HttpClient, type HttpRequest, readJson } from "./http-client.js";
import { checkPathValue } from "./path-values.js";
import { withRetries } from "./retry.js";

/** An answer in one piece; the largest that the contract knows is a file of 16 MiB as text. */
const LARGEST_JSON = 128 * 1024 * 1024;
/** Within an answer in one piece. */
const QUIET_MS = 60_000;
/** The server ends in time what has a time-out of its own; this is for the way there and back. */
const MARGIN_MS = 60_000;
/** A week: no call may take longer. */
const LONGEST_MS = 604_800_000;
/** Images are pulled and set up while a space starts. */
const START_TIMEOUT_MS = 3_600_000;

export interface LinkOptions {
  /** The server's URL as messages show it. */
  readonly url: string;
  /** Where its routes begin. */
  readonly base: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds until an answer must begin, where the call has no time-out of its own. */
  readonly timeoutMs: number;
  /** Attempts at most, the first included. */
  readonly attempts: number;
  /** Milliseconds for which a broken stream is tried to be resumed. */
  readonly resumeMs: number;
  readonly onRetry: (failure: RemoteFailure) => void;
}

/** Makes the client of a server. What its calls and streams throw are errors of the registry. */
export function createRemoteClient(http: HttpClient, options: LinkOptions): Client {
  const { url, base, headers, resumeMs: giveUpAfterMs, onRetry } = options;
  const sender = new Sender(http, options);
  const link = new StandardOpenAPILink(contract, sender, {
    url: base.href,
    headers: () => ({ ...headers }),
    // What is not valid is refused here: on its way it would lose what makes it so, such as NaN.
    plugins: [new RequestValidationPlugin(contract)],
    interceptors: [
      async ({ next, ...call }) => {
        const { path, input, signal } = call;
        try {
          refuseLostKey(input);
          checkPathValues(path, input);
          const followed = followedOf(path.join("."), input, url);
          if (followed === undefined) return await next(call);
          return await followThrough<unknown>(
            followed,
            async (position, either) =>
              (await next({
                ...call,
                input: { ...(input as object), ...position },
                signal: either,
              })) as AsyncIterable<unknown>,
            { url, signal, giveUpAfterMs, onRetry },
          );
        } catch (failure) {
          throw spacesErrorOf(failure);
        }
      },
    ],
  });
  return createORPCClient(link);
}

/** What a call follows; undefined where it gives no stream that is gone on with. */
function followedOf(name: string, input: unknown, url: string): Followed<unknown> | undefined {
  if (name === "processes.follow") return new FollowedProcess(input as object, url);
  if (name === "runs.follow") return new FollowedRun(input as object, url);
  return undefined;
}

/** Sends what the link has encoded. */
class Sender implements StandardLinkClient<Record<never, never>> {
  readonly #http: HttpClient;
  readonly #options: LinkOptions;

  constructor(http: HttpClient, options: LinkOptions) {
    this.#http = http;
    this.#options = options;
  }

  async call(
    request: StandardRequest,
    { signal }: { readonly signal?: AbortSignal | undefined },
    path: readonly string[],
    input: unknown,
  ): Promise<StandardLazyResponse> {
    const { meta, outputSchema } = procedureAt(path)["~orpc"];
    const { idempotent = false, bytes = false } = meta as ProcedureMeta;
    const sent = {
      ...encode(request, signal, this.#answerTimeoutMs(path, input)),
      isStream: bytes || getEventIteratorSchemaDetails(outputSchema) !== undefined,
    };
    // What follows a broken stream has its own patience.
    const attempts = sent.body instanceof ReadableStream ? 1 : this.#options.attempts;
    const answer = await withRetries(
      async () => {
        const received = await this.#http.send(sent);
        const body = await this.#bodyOf(received);
        return { status: received.status, headers: received.headers, body };
      },
      { attempts, repeatable: idempotent, signal, onRetry: this.#options.onRetry },
    );
    return { status: answer.status, headers: answer.headers, body: async () => answer.body };
  }

  /** JSON is read within the attempt: an answer that breaks off is asked for again. */
  async #bodyOf(answer: HttpAnswer): Promise<unknown> {
    const { url } = this.#options;
    const { contentType, status } = answer;
    if (contentType.startsWith("text/event-stream")) return readEvents(answer, url);
    if (contentType.startsWith("application/json")) {
      const body = await readJson(answer, url, LARGEST_JSON, QUIET_MS);
      // Every output of the contract is an object.
      if (!isRecord(body)) throw foreignAnswer(url, "an answer that is no object");
      return body;
    }
    if (answer.headers["content-digest"] !== undefined) return readBytes(answer, url);
    answer.body.destroy();
    throw foreignAnswer(url, `status ${status} with ${contentType || "a body of no type"}`);
  }

  #answerTimeoutMs(path: readonly string[], input: unknown): number {
    const own = isRecord(input) ? input.timeoutMs : undefined;
    // What is no time is for the server to refuse.
    if (typeof own === "number" && own > 0 && own <= LONGEST_MS) return own + MARGIN_MS;
    const name = path.join(".");
    if (name === "processes.run" || name === "scripts.run" || name.endsWith(".wait")) {
      return Math.max(this.#options.timeoutMs, 2 * MARGIN_MS);
    }
    const starts = name === "spaces.start" || name === "spaces.restart";
    return starts ? START_TIMEOUT_MS : this.#options.timeoutMs;
  }
}

/**
 * Encoding would drop a key `__proto__` without a word, and so the server could not refuse it.
 * @throws SpacesError `INVALID_INPUT`
 */
function refuseLostKey(value: unknown): void {
  if (typeof value !== "object" || value === null || value instanceof ReadableStream) return;
  if (Object.hasOwn(value, "__proto__")) {
    throw new SpacesError("INVALID_INPUT", "The key __proto__ must not be used.");
  }
  for (const inner of Object.values(value)) refuseLostKey(inner);
}

/** Checks the values of a call that its route has in its path. */
function checkPathValues(path: readonly string[], input: unknown): void {
  const { route } = procedureAt(path)["~orpc"];
  const given = isRecord(input) ? input : {};
  const values = route.inputStructure === "detailed" ? given.params : given;
  for (const [, name = ""] of (route.path ?? "").matchAll(/\{([^}]+)\}/g)) {
    checkPathValue(name, isRecord(values) ? values[name] : undefined);
  }
}

function procedureAt(path: readonly string[]): AnyContractProcedure {
  const [domain = "", action = ""] = path;
  const domains: Readonly<Record<string, Readonly<Record<string, unknown>>>> = contract;
  const procedure = Object.hasOwn(domains, domain) ? domains[domain]?.[action] : undefined;
  if (isContractProcedure(procedure)) return procedure;
  throw new SpacesError("INVALID_INPUT", `There is no call "${path.join(".").slice(0, 80)}".`);
}

function encode(
  { method, url, headers, body }: StandardRequest,
  signal: AbortSignal | undefined,
  answerTimeoutMs: number,
): Omit<HttpRequest, "isStream"> {
  const plain = plainHeaders(headers);
  const common = { method, url, signal, answerTimeoutMs };
  if (body instanceof ReadableStream) {
    plain["content-type"] ??= "application/octet-stream";
    return { ...common, headers: plain, body };
  }
  if (body === undefined) return { ...common, headers: plain, body: undefined };
  plain["content-type"] = "application/json";
  return { ...common, headers: plain, body: JSON.stringify(body) };
}

function plainHeaders(headers: StandardHeaders): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return plain;
}
