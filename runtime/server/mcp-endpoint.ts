/**
 * `/mcp`: the MCP server over HTTP, behind the same checks as every call. Sessions belong to the token
 * that began them; they are bounded in number and in how long they may idle.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { EngineHost } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import type { Actor } from "../contract/permissions.js";
import type { Admission, Place } from "./admission.js";
import type { Operation } from "./api.js";
import { readJson } from "./body.js";
import type { ServerLimits } from "./limits.js";
import type { ServerLog } from "./log.js";
import type { McpSession } from "./mcp-session.js";

export const MCP_PATH = "/mcp";

interface EndpointParts {
  readonly host: EngineHost;
  readonly limits: ServerLimits;
  readonly admission: Admission;
  readonly log: ServerLog;
}

/** Milliseconds between two looks for sessions that nobody uses. */
const SWEEP_MS = 5_000;
/** Messages of one body; the protocol's older versions allow several. */
const MOST_MESSAGES = 100;

const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  (["POST", "GET", "DELETE"] as const).map((method) => [
    method,
    {
      name: { POST: "mcp.request", GET: "mcp.listen", DELETE: "mcp.end" }[method],
      permission: undefined,
      params: new Set<string>(),
      inQuery: false,
      takesBytes: false,
      isStream: method === "GET",
      isKeyed: false,
    },
  ]),
);

export class McpEndpoint implements AsyncDisposable {
  readonly #parts: EndpointParts;
  readonly #sessions = new Map<string, McpSession>();
  readonly #ending = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  /** What a request to the path asks for. @throws SpacesError `NOT_FOUND` for other methods */
  operation(method: string): Operation {
    const operation = OPERATIONS.get(method);
    if (operation !== undefined) return operation;
    throw new SpacesError("NOT_FOUND", `There is no ${method.slice(0, 20)} ${MCP_PATH}.`);
  }

  /** Sessions that are open. */
  get count(): number {
    return this.#sessions.size;
  }

  /**
   * Answers a request.
   * @throws SpacesError `LIMIT_EXCEEDED` for too many calls, streams or sessions; `INVALID_INPUT` and
   *   `BODY_TOO_LARGE` for a body that cannot be read
   */
  async answer(request: IncomingMessage, response: ServerResponse, actor: Actor): Promise<void> {
    const { admission, limits } = this.#parts;
    const enter = (): Place => {
      const place = admission.enter(actor, request.method === "GET" ? "streams" : "calls");
      response.once("close", () => place[Symbol.dispose]());
      return place;
    };
    const place = enter();
    const body = await this.#read(request, response, place, limits);
    const messages = Array.isArray(body) ? body.length : 1;
    if (messages > MOST_MESSAGES) {
      throw new SpacesError("INVALID_INPUT", `The body has more than ${MOST_MESSAGES} messages.`);
    }
    for (let more = 1; more < messages; more++) enter();
    const given = request.headers["mcp-session-id"];
    const session =
      given === undefined ? await this.#begin(actor) : this.#find(String(given), actor);
    if (session === undefined) {
      response.writeHead(404, { "content-type": "application/json" }).end(UNKNOWN_SESSION);
      return;
    }
    try {
      await session.answer(request, response, { actor, body });
    } finally {
      // One that was not begun by an `initialize` is of no use to anybody.
      if (!this.#sessions.has(session.id)) await session.end();
    }
  }

  /** Ends the streams on which nothing is awaited, so that their clients go elsewhere. */
  endStreams(): void {
    for (const session of this.#sessions.values()) session.endStreams();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#sessions.values()].map((session) => session.end()));
    await Promise.all(this.#ending);
  }

  async #read(
    request: IncomingMessage,
    response: ServerResponse,
    place: Place,
    limits: ServerLimits,
  ): Promise<unknown> {
    if (request.method !== "POST") return undefined;
    if (request.headers.expect !== undefined) response.writeContinue();
    const bounded = { ...limits, bodyBytes: Math.min(limits.bodyBytes, limits.mcpBodyBytes) };
    const { value } = await readJson(request, bounded, (part) => place.hold(part));
    return value;
  }

  /** The session of an id; others' sessions are not there. */
  #find(id: string, actor: Actor): McpSession | undefined {
    const session = this.#sessions.get(id);
    return session?.owner === (actor.token?.id ?? actor.id) ? session : undefined;
  }

  async #begin(actor: Actor): Promise<McpSession> {
    const { McpSession, ownerOf } = await import("./mcp-session.js");
    this.#makeRoom(ownerOf(actor));
    const session = new McpSession(
      {
        ...this.#parts,
        onBegin: (begun) => {
          this.#sessions.set(begun.id, begun);
          this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
        },
        onEnd: (ended) => void this.#sessions.delete(ended.id),
      },
      actor,
    );
    await session.connect();
    return session;
  }

  /** @throws SpacesError `LIMIT_EXCEEDED` where there are too many sessions, all of them in use */
  #makeRoom(owner: string): void {
    const { mcpSessions, mcpSessionsPerActor } = this.#parts.limits;
    const all = [...this.#sessions.values()];
    const own = all.filter((session) => session.owner === owner);
    const isFull = own.length >= mcpSessionsPerActor;
    if (!isFull && all.length < mcpSessions) return;
    const idle = (isFull ? own : all)
      .filter((session) => session.idleMs > 0 && !session.isBusy)
      .sort((a, b) => b.idleMs - a.idleMs);
    const [oldest] = idle;
    if (oldest === undefined) {
      throw new SpacesError(
        "LIMIT_EXCEEDED",
        `There are ${isFull ? own.length : all.length} MCP sessions, which is the most.`,
        { suggestion: "Close clients that are not used." },
      );
    }
    this.#end(oldest);
  }

  /** Ends sessions that nobody uses, and those whose client has gone while calls are under way. */
  #sweep(): void {
    const { mcpIdleMs, mcpAbandonedMs } = this.#parts.limits;
    for (const session of [...this.#sessions.values()]) {
      if (session.idleMs > (session.isBusy ? mcpAbandonedMs : mcpIdleMs)) this.#end(session);
    }
  }

  #end(session: McpSession): void {
    const ending = session.end();
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }
}

/** As the protocol has it, so that the client begins a new session. */
const UNKNOWN_SESSION = JSON.stringify({
  jsonrpc: "2.0",
  error: { code: -32_001, message: "Session not found" },
  id: null,
});
