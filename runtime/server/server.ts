/** The server: an engine behind HTTP. `spaces serve` opens it, and tests do. */
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { type EngineHost, openEngineHost } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import { KeptAnswers } from "../engine/kept-answers.js";
import type { RunLimits } from "../runs/limits.js";
import { Admission } from "./admission.js";
import { Api } from "./api.js";
import { ConnectionGuard } from "./connections.js";
import { takeRequests, WorkUnderWay } from "./intake.js";
import { SERVER_LIMITS, type ServerLimits } from "./limits.js";
import { bind, makeHttpServer, type TlsFiles } from "./listening.js";
import { createLog, type ServerLog } from "./log.js";
import { McpEndpoint } from "./mcp-endpoint.js";
import { Metrics } from "./metrics.js";
import { isLoopback, Origins } from "./origins.js";
import type { ServerParts } from "./parts.js";
import { Upkeep } from "./upkeep.js";

export interface ServerOptions {
  /** Absolute path of the data directory. */
  readonly dataDir: string;
  /** Address to listen on; 127.0.0.1 when absent. */
  readonly host?: string | undefined;
  /** 7700 when absent; 0 for any that is free. */
  readonly port?: number | undefined;
  /** Path of a unix socket to listen on instead; only its owner can use it. */
  readonly socket?: string | undefined;
  /** `none` takes everybody for the local user; only where nobody else can reach the server. */
  readonly auth?: "token" | "none" | undefined;
  /** Plain HTTP when absent. */
  readonly tls?: TlsFiles | undefined;
  /** Driver for spaces whose template names none. */
  readonly driver?: string | undefined;
  /** The URL by which clients reach the server, where it is behind a proxy. */
  readonly publicUrl?: string | undefined;
  /** Further names that the server answers to. */
  readonly allowHosts?: readonly string[] | undefined;
  /** Sites whose pages may call. */
  readonly allowOrigins?: readonly string[] | undefined;
  /** Other values for some of `SERVER_LIMITS`. */
  readonly limits?: Partial<ServerLimits> | undefined;
  /** Other values for some of `RUN_LIMITS`. */
  readonly runLimits?: Partial<RunLimits> | undefined;
  /** Nothing is logged when absent. */
  readonly log?: ServerLog | undefined;
}

export interface Server extends AsyncDisposable {
  readonly url: string;
  /** The one-time token of an administrator; at the first start only. */
  readonly adminToken?: string | undefined;
  /**
   * Stops accepting, lets calls end until the deadline, then cancels them; streams end at once, with
   * `SHUTTING_DOWN`, so that clients resume elsewhere. Spaces stay up.
   * @param deadlineMs milliseconds
   */
  drain(deadlineMs: number): Promise<void>;
}

/** Milliseconds for which cancelled calls may take to end. */
const CANCEL_MS = 5_000;

/**
 * Opens the engine of a data directory and serves it. Disposing cancels what is under way.
 * @throws SpacesError `PORT_IN_USE`; `INVALID_INPUT` for options that cannot be used, such as no
 *   authentication on an address that others reach; `STORE_UNAVAILABLE`
 */
export async function openServer(options: ServerOptions): Promise<Server> {
  const { host: address = "127.0.0.1", port = 7700, socket, auth = "token" } = options;
  if (auth === "none" && socket === undefined && !isLoopback(address)) {
    throw new SpacesError(
      "INVALID_INPUT",
      `Without authentication ${address} cannot be listened on.`,
      {
        suggestion: "Listen on 127.0.0.1 or a unix socket, or leave authentication on.",
      },
    );
  }
  const limits = { ...SERVER_LIMITS, ...options.limits };
  const http = makeHttpServer(options.tls, limits);
  const host = await openEngineHost({
    dataDir: options.dataDir,
    driver: options.driver,
    publicUrl: options.publicUrl,
    runLimits: options.runLimits,
    onTrouble: (message) => options.log?.warn(message),
  });
  try {
    const bound = await bind(http, { host: address, port, socket });
    // Without a pause in between: nobody can have connected yet.
    return await serve(http, host, { ...options, auth, host: address }, { limits, port: bound });
  } catch (error) {
    http.close();
    http.closeAllConnections();
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

type Settled = ServerOptions & { readonly auth: "token" | "none"; readonly host: string };

async function serve(
  http: HttpServer,
  host: EngineHost,
  options: Settled,
  { limits, port }: { readonly limits: ServerLimits; readonly port: number | undefined },
): Promise<Server> {
  const log = options.log ?? createLog("silent");
  const { store, secrets } = host.engine.parts;
  const connections = new ConnectionGuard(limits.connections, limits.headersMs, limits.pipelined);
  let draining = false;
  const admission = new Admission(limits);
  const mcp = new McpEndpoint({ host, limits, admission, log });
  const parts: ServerParts = {
    host,
    auth: options.auth,
    publicUrl: options.publicUrl,
    limits,
    api: new Api(host, limits),
    origins: new Origins({
      host: options.socket === undefined ? options.host : undefined,
      port,
      allowHosts: options.allowHosts ?? [],
      allowOrigins: options.allowOrigins ?? [],
      publicUrl: options.publicUrl,
    }),
    admission,
    answers: new KeptAnswers(store, secrets, limits.keptAnswerMs),
    connections,
    mcp,
    metrics: new Metrics({
      store,
      connections: () => connections.count,
      mcpSessions: () => mcp.count,
    }),
    log,
    isDraining: () => draining,
  };
  const work = new WorkUnderWay();
  connections.watch(http, options.tls === undefined ? "connection" : "secureConnection");
  takeRequests(http, parts, work);
  // Only who has the port may take the one token that is shown.
  const adminToken = options.auth === "token" ? await host.engine.identity.bootstrap() : undefined;
  const upkeep = new Upkeep(
    [
      { name: "expired spaces", run: () => host.engine.expiry.sweep() },
      { name: "kept answers", run: () => parts.answers.sweep() },
      { name: "records of runs", run: () => host.engine.runRetention.tidy() },
    ],
    limits.upkeepMs,
    log,
  );

  const close = async (deadlineMs: number): Promise<void> => {
    draining = true;
    const closed = once(http, "close");
    http.close();
    http.closeIdleConnections();
    host.calls.cancelStreams(new SpacesError("SHUTTING_DOWN"));
    mcp.endStreams();
    if (!(await work.ended(deadlineMs))) {
      host.calls.cancel(new SpacesError("SHUTTING_DOWN"));
      await work.ended(CANCEL_MS);
    }
    connections.closeAll();
    http.closeAllConnections();
    await closed;
    await mcp[Symbol.asyncDispose]();
    await upkeep[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  };
  let closing: Promise<void> | undefined;
  const end = (deadlineMs: number): Promise<void> => {
    closing ??= close(deadlineMs);
    return closing;
  };
  const url = urlOf(options, options.host, port);
  log.info({ url }, "listening");
  return { url, adminToken, drain: end, [Symbol.asyncDispose]: () => end(0) };
}

function urlOf(options: ServerOptions, address: string, port: number | undefined): string {
  if (options.publicUrl !== undefined) return options.publicUrl;
  if (port === undefined) return `unix://${options.socket}`;
  const name = address.includes(":") ? `[${address}]` : address;
  return `${options.tls === undefined ? "http" : "https"}://${name}:${port}`;
}
