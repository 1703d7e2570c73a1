/** One WebSocket of an attachment, from its opening to its end; `socket-attachment.ts` has one at a time. */
import type { Agent, IncomingMessage } from "node:http";
import WebSocket from "ws";
import type { ServerAddress } from "../../config/server-address.js";
import { SpacesError } from "../../contract/errors.js";
import type { AttachmentEvent, AttachTarget } from "../attachment.js";
import {
  answerFailure,
  connectionFailure,
  eventFailure,
  foreignAnswer,
  isRecord,
  type RemoteFailure,
  timeoutFailure,
} from "./failures.js";

const PROTOCOL = "spaces.attach.v1";
/** The largest frame that is taken. */
const LARGEST_FRAME = 4 * 1024 * 1024;
/** What is read of an answer that refuses the connection. */
const ERROR_BYTES = 64 * 1024;
/** A server that answers no ping for so long is not there any more. */
const PING_MS = 20_000;
/** How long a connection that is let go may take to end in good order. */
const CLOSE_MS = 1_000;

/** What the client says in text frames. */
export type ControlMessage =
  | { readonly type: "resize"; readonly columns: number; readonly rows: number }
  | { readonly type: "signal"; readonly signal: string }
  | { readonly type: "close-input" };

interface OpenOptions {
  readonly address: ServerAddress;
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
  readonly connectTimeoutMs: number;
  readonly target: AttachTarget;
  readonly offsets: { readonly stdout: number; readonly stderr: number };
  readonly signal: AbortSignal;
  readonly onEvent: (event: AttachmentEvent) => void;
}

export class AttachmentSocket {
  readonly #socket: WebSocket;
  readonly #url: string;
  readonly #onEvent: (event: AttachmentEvent) => void;
  #stdout: number | undefined;
  #failure: Error | undefined;
  #paused = false;
  #alive = true;
  #onReady: (() => void) | undefined;
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<Error>;

  private constructor({ address, agent, headers, connectTimeoutMs, ...options }: OpenOptions) {
    this.#url = address.url;
    this.#onEvent = options.onEvent;
    this.#socket = new WebSocket(attachUrl(address, options), [PROTOCOL], {
      agent,
      headers,
      handshakeTimeout: connectTimeoutMs,
      maxPayload: LARGEST_FRAME,
      perMessageDeflate: false,
      followRedirects: false,
    });
    this.closed = new Promise((resolve) => {
      this.#socket.once("close", (code, reason) =>
        resolve(this.#failure ?? this.#ended(code, reason)),
      );
    });
    this.#socket.on("error", (cause) => {
      this.#fail(this.#failureOf(cause));
      // It would wait for the other end to close in good order, which one that errs may never do.
      this.#socket.terminate();
    });
    this.#socket.on("unexpected-response", (request, response) => {
      void refusal(this.#url, response).then((failure) => {
        this.#fail(failure);
        request.destroy();
        this.#socket.terminate();
      });
    });
    this.#socket.on("message", (data: Buffer, isBinary) => this.#onMessage(data, isBinary));
    this.#watch();
  }

  /**
   * Opens a connection. Resolves when the server has found the process.
   * @throws RemoteFailure what keeps it from opening; SpacesError `CANCELLED`
   */
  static async open(options: OpenOptions): Promise<AttachmentSocket> {
    const { signal } = options;
    if (signal.aborted) throw new SpacesError("CANCELLED", undefined, { cause: signal.reason });
    const socket = new AttachmentSocket(options);
    const ready = new Promise<void>((resolve) => {
      socket.#onReady = resolve;
    });
    const stop = (): void => {
      socket.#fail(new SpacesError("CANCELLED", undefined, { cause: signal.reason }));
      socket.terminate();
    };
    signal.addEventListener("abort", stop, { once: true });
    void socket.closed.then(() => signal.removeEventListener("abort", stop));
    const late = setTimeout(() => {
      socket.#fail(timeoutFailure(socket.#url, 2 * options.connectTimeoutMs));
      socket.terminate();
    }, 2 * options.connectTimeoutMs);
    try {
      const failure = await Promise.race([ready, socket.closed]);
      if (failure instanceof Error) throw failure;
    } finally {
      clearTimeout(late);
    }
    return socket;
  }

  /** Sends a frame. @returns whether all of it has left; false when the connection broke before */
  send(frame: Uint8Array | ControlMessage): Promise<boolean> {
    const data = frame instanceof Uint8Array ? frame : JSON.stringify(frame);
    return new Promise((resolve) => {
      this.#socket.send(data, (error) => resolve(error === undefined || error === null));
    });
  }

  /** Stops reading, and so slows the server down. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#alive = true;
    this.#socket.resume();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Ends the connection in good order, and by force where that takes too long. */
  async close(): Promise<void> {
    this.resume();
    this.#socket.close(1000);
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_MS);
    await this.closed;
    clearTimeout(timer);
  }

  /** Pings while the connection is open; a paused one cannot hear the answer. */
  #watch(): void {
    const timer = setInterval(() => {
      if (this.#socket.readyState !== WebSocket.OPEN || this.#paused) return;
      if (!this.#alive) {
        this.#fail(timeoutFailure(this.#url, PING_MS));
        this.#socket.terminate();
        return;
      }
      this.#alive = false;
      this.#socket.ping();
    }, PING_MS);
    timer.unref();
    this.#socket.on("pong", () => {
      this.#alive = true;
    });
    void this.closed.then(() => clearInterval(timer));
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    this.#alive = true;
    if (this.#failure !== undefined) return;
    try {
      if (isBinary) this.#onOutput(data);
      else this.#onText(data.toString("utf8"));
    } catch (failure) {
      this.#fail(failure as Error);
      this.#socket.terminate();
    }
  }

  #onOutput(data: Buffer): void {
    if (this.#stdout === undefined) throw this.#foreign("output before its position");
    const offset = this.#stdout;
    this.#stdout += data.length;
    this.#onEvent({ type: "stdout", data, offset });
  }

  #onText(text: string): void {
    const message = parse(text);
    if (!isRecord(message)) throw this.#foreign(`a frame that cannot be read: ${quote(text)}`);
    const { type, stdout, stream, bytes, data, offset, exitCode, signal } = message;
    if (type === "position" && isCount(stdout)) {
      this.#stdout = stdout;
      this.#onReady?.();
    } else if (type === "stderr" && typeof data === "string" && isCount(offset)) {
      this.#onEvent({ type, data: Buffer.from(data, "base64"), offset });
    } else if (type === "lost" && isStream(stream) && isCount(bytes)) {
      // The position is told behind what was lost.
      this.#onEvent({ type, stream, bytes });
    } else if (type === "exit" && isCount(exitCode)) {
      this.#onReady?.();
      const by = typeof signal === "string" ? { signal: signal.slice(0, 32) } : {};
      this.#onEvent({ type, exitCode, ...by });
    } else if (type === "error") {
      throw eventFailure(this.#url, message);
    } else if (typeof type !== "string" || KNOWN.has(type)) {
      throw this.#foreign(`a frame of another form: ${quote(text)}`);
    }
    // What a newer server tells beside is nothing that this client needs.
  }

  /** The first reason is the true one; what comes behind it follows from it. */
  #fail(failure: Error): void {
    this.#failure ??= failure;
  }

  #foreign(what: string): RemoteFailure {
    return foreignAnswer(this.#url, what);
  }

  #failureOf(cause: Error): RemoteFailure {
    const { code } = cause as NodeJS.ErrnoException;
    if (code?.startsWith("WS_ERR_")) return this.#foreign(`${cause.message} (${code})`);
    if (/subprotocol|Sec-WebSocket|Upgrade header/i.test(cause.message)) {
      return this.#foreign(cause.message);
    }
    return connectionFailure(this.#url, cause);
  }

  #ended(code: number, reason: Buffer): RemoteFailure {
    // 4xxx are errors of the server, which it tells in a frame before.
    if (code >= 4000) return this.#foreign(`it closed with ${code} ${quote(reason.toString())}`);
    return connectionFailure(this.#url, new Error(`the connection was closed with ${code}`));
  }
}

const KNOWN = new Set(["position", "stderr", "lost", "exit", "error"]);

function attachUrl(
  { base }: ServerAddress,
  { target, offsets }: Pick<OpenOptions, "target" | "offsets">,
): URL {
  const url = new URL(base);
  url.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  const [space, id] = [target.space, target.process].map(encodeURIComponent);
  url.pathname += `/spaces/${space}/processes/${id}/attach`;
  url.searchParams.set("stdoutOffset", String(offsets.stdout));
  url.searchParams.set("stderrOffset", String(offsets.stderr));
  return url;
}

/** What an answer means that refuses to become a WebSocket. */
async function refusal(url: string, response: IncomingMessage): Promise<RemoteFailure> {
  let text = "";
  response.setTimeout(5_000, () => response.destroy());
  try {
    for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
      text += chunk;
      if (text.length > ERROR_BYTES) break;
    }
  } catch {
    // The status alone tells enough.
  }
  const { statusCode = 0, headers } = response;
  if (statusCode >= 200 && statusCode < 300) {
    return foreignAnswer(url, `it opens no WebSocket (status ${statusCode})`);
  }
  return answerFailure(url, {
    status: statusCode,
    contentType: headers["content-type"] ?? "",
    text,
    retryAfter: headers["retry-after"],
    location: headers.location,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isStream(value: unknown): value is "stdout" | "stderr" {
  return value === "stdout" || value === "stderr";
}
