/**
 * Sends one request to a server over node-fetch and tells a good answer from a failure. The link
 * calls it, once for each attempt.
 */
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import fetch, { AbortError, type Response } from "node-fetch";
import type { ServerAddress } from "../../config/server-address.js";
import { SpacesError } from "../../contract/errors.js";
import type { Agents } from "./agents.js";
import {
  answerFailure,
  connectionFailure,
  foreignAnswer,
  RemoteFailure,
  timeoutFailure,
} from "./failures.js";

/** What is read of an answer that tells an error. */
const ERROR_BYTES = 1024 * 1024;

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | URLSearchParams | ReadableStream<Uint8Array> | undefined;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds until the answer must have begun; while a body is sent, between two parts of it. */
  readonly answerTimeoutMs: number;
  /** Whether it holds its connection for long. */
  readonly isStream: boolean;
}

/** A good answer whose body is still to be read. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly contentType: string;
  /** To be read, or destroyed: it holds the connection. */
  readonly body: Readable;
  /** The error of the registry, or what it is wrapped in, that a failure of reading the body is. */
  failureOf(cause: unknown): Error;
}

/** Closing it cancels what is under way. */
export class HttpClient implements Disposable {
  readonly #address: ServerAddress;
  readonly #agents: Agents;
  readonly #running = new Set<AbortController>();
  #closed = false;

  constructor(address: ServerAddress, agents: Agents) {
    this.#address = address;
    this.#agents = agents;
  }

  /**
   * Sends a request.
   * @throws RemoteFailure when there is no answer, or one that tells an error; SpacesError
   *   `CANCELLED` when the signal fired
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const { signal } = request;
    if (signal?.aborted === true) throw cancelled(signal.reason);
    if (this.#closed) throw cancelled(undefined);
    const { url } = this.#address;
    const abort = new AbortController();
    const forward = (): void => abort.abort();
    signal?.addEventListener("abort", forward, { once: true });
    this.#running.add(abort);
    const release = (): void => {
      this.#running.delete(abort);
      signal?.removeEventListener("abort", forward);
    };
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      abort.abort();
    }, request.answerTimeoutMs);
    const failureOf = (cause: unknown): Error => {
      if (cause instanceof RemoteFailure || SpacesError.isInstance(cause)) return cause;
      if (signal?.aborted === true || this.#closed) return cancelled(cause);
      if (timedOut) return timeoutFailure(url, request.answerTimeoutMs);
      // Aborted by nobody else: the connection went away beneath it.
      if (cause instanceof AbortError)
        return connectionFailure(url, new Error("aborted", { cause }));
      return connectionFailure(url, cause);
    };
    const sent = bodyOf(request.body, () => timer.refresh());
    try {
      const response = await fetch(request.url, {
        method: request.method,
        headers: request.headers,
        ...(sent.body === undefined ? {} : { body: sent.body }),
        agent: request.isStream ? this.#agents.streams : this.#agents.calls,
        signal: abort.signal,
        redirect: "manual",
        compress: false,
      });
      clearTimeout(timer);
      if (response.status < 200 || response.status >= 300) {
        throw await this.#errorAnswer(response, request.answerTimeoutMs);
      }
      const body = readableOf(response);
      body.once("close", release);
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        contentType: response.headers.get("content-type") ?? "",
        body,
        failureOf,
      };
    } catch (cause) {
      release();
      abort.abort();
      // What the caller's own stream failed with is not the server's fault.
      throw sent.failure() ?? failureOf(cause);
    } finally {
      clearTimeout(timer);
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const abort of this.#running) abort.abort();
    this.#agents[Symbol.dispose]();
  }

  async #errorAnswer(response: Response, timeoutMs: number): Promise<RemoteFailure> {
    const text = await boundedText(readableOf(response), ERROR_BYTES, timeoutMs);
    return answerFailure(this.#address.url, {
      status: response.status,
      contentType: response.headers.get("content-type") ?? "",
      text,
      retryAfter: response.headers.get("retry-after") ?? undefined,
      location: response.headers.get("location") ?? undefined,
    });
  }
}

/** Reads a text up to a limit; what is behind it is not waited for. */
async function boundedText(body: Readable, limit: number, timeoutMs: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => body.destroy(), timeoutMs);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= limit) break;
    }
  } catch {
    // What has come tells more than that the rest is missing.
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * Reads the JSON of an answer.
 * @param limit bytes at most
 * @param timeoutMs between two parts of it
 * @returns undefined for an empty body
 */
export async function readJson(
  answer: HttpAnswer,
  url: string,
  limit: number,
  timeoutMs: number,
): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => answer.body.destroy(timeoutFailure(url, timeoutMs)), timeoutMs);
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      timer.refresh();
      size += chunk.length;
      if (size > limit) throw foreignAnswer(url, `an answer of more than ${limit} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    throw answer.failureOf(cause);
  } finally {
    clearTimeout(timer);
  }
  if (size === 0) return undefined;
  const text = Buffer.concat(chunks).toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    throw foreignAnswer(url, `JSON that cannot be read: ${JSON.stringify(text.slice(0, 100))}`);
  }
}

function readableOf({ body }: Response): Readable {
  return body === null ? Readable.from([]) : (body as Readable);
}

/** The body in the form that node-fetch sends; `failure` is what reading the caller's stream threw. */
function bodyOf(
  body: HttpRequest["body"],
  onPart: () => void,
): { body: string | URLSearchParams | Readable | undefined; failure: () => unknown } {
  if (!(body instanceof ReadableStream)) return { body, failure: () => undefined };
  let failed: { readonly error: unknown } | undefined;
  const source = Readable.fromWeb(body as NodeReadableStream<Uint8Array>);
  async function* parts() {
    try {
      for await (const part of source) {
        onPart();
        yield part;
      }
    } catch (error) {
      // Node ends the source in this way when the connection has ended first.
      if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE")
        failed = { error };
      throw error;
    }
  }
  return { body: Readable.from(parts(), { objectMode: false }), failure: () => failed?.error };
}

function cancelled(cause: unknown): SpacesError {
  return new SpacesError("CANCELLED", undefined, { cause });
}
