/**
 * Attachments over WebSockets: the checks before the upgrade, which are those of every request and
 * are answered over HTTP, and then the session.
 */
import { type IncomingMessage, STATUS_CODES } from "node:http";
import { performance } from "node:perf_hooks";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { z } from "zod";
import { toSpacesError } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import { spaceRefSchema } from "../contract/ids.js";
import type { Actor } from "../contract/permissions.js";
import { requirePermission } from "../engine/context.js";
import { API_PREFIX } from "./api.js";
import { AttachSession } from "./attach-session.js";
import { checkHeaders, identify, requestIdOf, targetOf } from "./gate.js";
import { traceOf } from "./log.js";
import type { ServerParts } from "./parts.js";
import { problemAnswer } from "./problem.js";

/** The subprotocol of attachments. */
export const ATTACH_PROTOCOL = "spaces.attach.v1";

const OPERATION = "processes.attach";

const PATH = new RegExp(`^${API_PREFIX}/spaces/([^/]+)/processes/([^/]+)/attach$`);

const offsetSchema = z
  .string()
  .regex(/^\d{1,15}$/, "must be a whole number")
  .transform(Number)
  .optional();

const targetSchema = z.strictObject({
  space: spaceRefSchema,
  process: z.string().regex(/^[0-9a-f]{32}$/, "must be the id of a process"),
  stdoutOffset: offsetSchema,
  stderrOffset: offsetSchema,
});

/** Takes the requests of a server for an upgrade. */
export class AttachUpgrade {
  readonly #parts: ServerParts;
  readonly #sockets: WebSocketServer;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: parts.limits.messageBytes,
      perMessageDeflate: false,
      handleProtocols: () => ATTACH_PROTOCOL,
    });
  }

  /** Answers a request for an upgrade. Never throws. */
  async answer(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const requestId = requestIdOf(request);
    const began = performance.now();
    // Without a listener an error of the connection would end the process.
    socket.on("error", () => socket.destroy());
    this.#parts.connections.hold(socket);
    let actor: Actor | undefined;
    let counted: ((result: string) => void) | undefined;
    let failure: SpacesError | undefined;
    try {
      const target = targetOf(request);
      checkHeaders(request, this.#parts.limits.headerCount);
      this.#parts.origins.check(request);
      if (this.#parts.isDraining()) throw new SpacesError("SHUTTING_DOWN");
      actor = await identify(this.#parts, request);
      if (!PATH.test(target.pathname) || request.method !== "GET") {
        throw new SpacesError(
          "NOT_FOUND",
          `There is no ${target.pathname.slice(0, 200)} to upgrade.`,
        );
      }
      counted = this.#parts.metrics.begin(OPERATION, true);
      requirePermission(actor, "RunCommands");
      failure = await this.#open({ request, socket, head, target, actor });
    } catch (error) {
      failure = toSpacesError(error);
      refuse(socket, failure, requestId, request);
    }
    counted?.(failure?.code ?? "ok");
    this.#parts.log.info(
      {
        requestId,
        ...traceOf(request.headers.traceparent),
        method: request.method,
        path: request.url?.split("?", 1)[0],
        operation: OPERATION,
        actor: actor?.id,
        code: failure?.code,
        durationMs: Math.round((performance.now() - began) * 10) / 10,
      },
      "attachment",
    );
  }

  /** Attaches, upgrades, and lets the session run. @returns what the session ended with */
  async #open({
    request,
    socket,
    head,
    target,
    actor,
  }: {
    readonly request: IncomingMessage;
    readonly socket: Duplex;
    readonly head: Buffer;
    readonly target: URL;
    readonly actor: Actor;
  }): Promise<SpacesError | undefined> {
    const { host, admission, limits } = this.#parts;
    using _ = admission.enter(actor, "streams");
    using watch = host.engine.identity.watch(actor);
    const { stdoutOffset, stderrOffset, ...process } = readTarget(request, target);
    const context = { actor, depth: 0, local: false };
    await using attachment = await host.attach(context, process, {
      stdoutOffset,
      stderrOffset,
      signal: watch.signal,
    });
    if (socket.destroyed) return undefined;
    return await new Promise((resolve, reject) => {
      // A handshake that is no good is answered, and the connection closed, by the library.
      const refused = (): void => resolve(undefined);
      socket.once("close", refused);
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        socket.off("close", refused);
        new AttachSession(webSocket, attachment, limits).run().then(resolve, reject);
      });
    });
  }
}

function readTarget(request: IncomingMessage, target: URL): z.output<typeof targetSchema> {
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",");
  if (!offered.some((name) => name.trim() === ATTACH_PROTOCOL)) {
    throw new SpacesError("INVALID_INPUT", `The subprotocol ${ATTACH_PROTOCOL} was not asked for.`);
  }
  const [, space, process] = PATH.exec(target.pathname) ?? [];
  const query = [...target.searchParams];
  if (new Set(query.map(([name]) => name)).size < query.length) {
    throw new SpacesError("INVALID_INPUT", "The query has a value twice.");
  }
  const parsed = targetSchema.safeParse({ ...Object.fromEntries(query), space, process });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SpacesError("INVALID_INPUT", `${issue?.path.join(".")}: ${issue?.message}`);
}

function refuse(
  socket: Duplex,
  failure: SpacesError,
  requestId: string,
  request: IncomingMessage,
): void {
  if (socket.destroyed) return;
  const { error, headers, body } = problemAnswer(failure, {
    requestId,
    instance: request.url?.split("?", 1)[0],
  });
  const head = { ...headers, connection: "close", "x-request-id": requestId };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? "Error"}\r\n${lines.join("")}\r\n${body}`,
    () => socket.destroy(),
  );
}
