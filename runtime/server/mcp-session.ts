/**
 * One MCP session over HTTP: a server of the protocol, the caller it belongs to, and its connections.
 * `mcp-endpoint.ts` keeps them; this file and what it imports are loaded when the first one begins.
 */
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import type { EngineHost } from "../bindings/in-process.js";
import type { Actor } from "../contract/permissions.js";
import { McpServer } from "../mcp/mcp-server.js";
import { callerOf } from "./gate.js";
import type { ServerLimits } from "./limits.js";
import type { ServerLog } from "./log.js";
import { sendReply } from "./reply.js";

/** As language servers have it; the protocol itself gives no code. */
const REQUEST_CANCELLED = -32_800;

interface SessionParts {
  readonly host: EngineHost;
  readonly limits: ServerLimits;
  readonly log: ServerLog;
  /** Called once the client has been given the session's id. */
  readonly onBegin: (session: McpSession) => void;
  /** Called when the session is over, whoever ended it. */
  readonly onEnd: (session: McpSession) => void;
}

export class McpSession implements AsyncDisposable {
  /** Nobody guesses it: 192 random bits. */
  readonly id = randomBytes(24).toString("base64url");
  readonly owner: string;
  readonly #parts: SessionParts;
  readonly #transport: WebStandardStreamableHTTPServerTransport;
  readonly #server: McpServer;
  readonly #over = new AbortController();
  readonly #watch: Disposable;
  #actor: Actor;
  #connections = 0;
  #lastUsed = performance.now();
  #ending: Promise<void> | undefined;

  constructor(parts: SessionParts, actor: Actor) {
    this.#parts = parts;
    this.#actor = actor;
    this.owner = callerOf(actor);
    this.#transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => this.id,
      onsessioninitialized: () => parts.onBegin(this),
      keepAliveMs: parts.limits.keepAliveMs,
    });
    this.#server = new McpServer({
      client: () =>
        parts.host.clientFor({ actor: this.#actor, depth: 0, local: false, via: "mcp" }),
      onError: (error) => this.#tell(error),
      onCancelled: (request) => this.#release(request),
    });
    // Each answer that is being sent listens to it.
    setMaxListeners(0, this.#over.signal);
    this.#watch = parts.host.engine.identity.watch(actor, this.#over);
    this.#over.signal.addEventListener("abort", () => void this.end());
  }

  async connect(): Promise<void> {
    this.#transport.onclose = () => void this.end();
    await this.#server.connect(this.#transport);
  }

  /**
   * How long the session has been without any connection.
   * @returns milliseconds; 0 while it has one
   */
  get idleMs(): number {
    return this.#connections > 0 ? 0 : performance.now() - this.#lastUsed;
  }

  /** Whether calls are under way. */
  get isBusy(): boolean {
    return this.#server.isBusy;
  }

  /**
   * Answers a request of the session.
   * @param actor who makes it: what it may do now
   * @param body what was sent, parsed
   */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    { actor, body }: { readonly actor: Actor; readonly body: unknown },
  ): Promise<void> {
    if (response.closed) return;
    this.#actor = actor;
    this.#connections += 1;
    response.once("close", () => {
      this.#connections -= 1;
      this.#lastUsed = performance.now();
    });
    const answer = await this.#transport.handleRequest(
      webRequestOf(request),
      body === undefined ? {} : { parsedBody: body },
    );
    if (request.method === "GET" && answer.status === 200 && !response.closed) {
      const watch = this.#server.watchChanges();
      response.once("close", () => watch[Symbol.dispose]());
    }
    await this.#send(response, answer);
  }

  /** Ends the streams on which nothing is awaited; calls go on. */
  endStreams(): void {
    this.#transport.closeStandaloneSSEStream();
  }

  /** Cancels what is under way, and waits for its clean-up. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  /** Ends the answer in which the client of a cancelled request is still listening. */
  #release(id: RequestId): void {
    const error = { code: REQUEST_CANCELLED, message: "The request was cancelled." };
    this.#transport.send({ jsonrpc: "2.0", id, error }).catch((failure) => this.#tell(failure));
  }

  #tell(error: unknown): void {
    this.#parts.log.warn({ err: error, actor: this.#actor.id }, "mcp");
  }

  async #end(): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#parts.onEnd(this);
    await this.#server[Symbol.asyncDispose]();
  }

  async #send(response: ServerResponse, answer: Response): Promise<void> {
    const { answerStallMs, keepAliveMs } = this.#parts.limits;
    const sent = sendReply(
      response,
      {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: answer.body ?? undefined,
      },
      { keepAliveMs, signal: this.#over.signal },
    );
    if (answer.headers.get("content-type") === "text/event-stream") {
      // Who waits for events must learn that they will come, and who takes none is let go.
      response.flushHeaders();
      response.setTimeout(Math.max(answerStallMs, keepAliveMs * 2));
    }
    await sent;
  }
}

/** The request as the protocol's transport reads it; its body has been read. */
function webRequestOf({ method = "GET", headers }: IncomingMessage): Request {
  const given = new Headers();
  for (const name of TOLD) {
    const value = headers[name];
    if (typeof value === "string") given.set(name, value);
  }
  return new Request("http://localhost/mcp", { method, headers: given });
}

const TOLD = ["accept", "content-type", "mcp-protocol-version", "mcp-session-id"] as const;
