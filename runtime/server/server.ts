/** The server: an engine behind HTTP. `spaces serve` opens it, and tests do. */
import { chmod, unlink } from "node:fs/promises";
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { openEngineHost, toSpacesError } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/ids.js";
import { bearerOf, type Identity, OpenAccess } from "./access.js";
import { API_PREFIX, Api } from "./api.js";
import { bytesOf, readJson } from "./body.js";
import { SERVER_LIMITS, type ServerLimits } from "./limits.js";
import { PROBLEM_TYPE, problemOf } from "./problem.js";

export interface ServerOptions {
  /** Absolute path of the data directory. */
  readonly dataDir: string;
  /** Address to listen on; 127.0.0.1 when absent. */
  readonly host?: string | undefined;
  /** 7700 when absent; 0 for any that is free. */
  readonly port?: number | undefined;
  /** Path of a unix socket to listen on instead. */
  readonly socket?: string | undefined;
  /** `none` takes everybody for the local user; only where nobody else can reach the server. */
  readonly auth?: "token" | "none" | undefined;
  /** PEM texts; plain HTTP when absent. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Driver for spaces whose template names none. */
  readonly driver?: string | undefined;
  /** The URL by which clients reach the server, where it is behind a proxy. */
  readonly publicUrl?: string | undefined;
  readonly limits?: Partial<ServerLimits> | undefined;
}

export interface Server extends AsyncDisposable {
  readonly url: string;
  /** The one-time token of an administrator; at the first start only. */
  readonly adminToken?: string | undefined;
  /** Stops accepting, lets calls end until the deadline, then cancels them. Spaces stay up. */
  drain(deadlineMs: number): Promise<void>;
}

/**
 * Opens the engine of a data directory and serves it.
 * @throws SpacesError `PORT_IN_USE`, `INVALID_INPUT`, `STORE_UNAVAILABLE`
 */
export async function openServer(options: ServerOptions): Promise<Server> {
  const limits = { ...SERVER_LIMITS, ...options.limits };
  const host = await openEngineHost({ dataDir: options.dataDir, driver: options.driver });
  const identity =
    options.auth === "none"
      ? new OpenAccess()
      : (host.engine as unknown as { identity: Identity }).identity;
  const api = new Api(host, limits);
  const draining = new AbortController();
  const answer = async (
    request: IncomingMessage & { body?: unknown },
    response: ServerResponse,
  ) => {
    const requestId = newId("req");
    response.setHeader("x-request-id", requestId);
    const path = new URL(`http://localhost${request.url ?? "/"}`).pathname;
    try {
      if (path === "/livez") {
        response.end("ok\n");
        return;
      }
      const actor = await identity.authenticate(bearerOf(request));
      const operation = path.startsWith(`${API_PREFIX}/`)
        ? await api.find(request.method ?? "GET", path.slice(API_PREFIX.length))
        : undefined;
      if (operation === undefined) {
        throw new SpacesError("NOT_FOUND", `There is no ${request.method} ${path}.`);
      }
      request.body = operation.takesBytes
        ? bytesOf(request, limits)
        : (await readJson(request, limits)).value;
      using watch = identity.watch(actor);
      await api.answer(request, response, {
        actor,
        depth: 0,
        local: false,
        requestId,
        cancelled: AbortSignal.any([watch.signal, draining.signal]),
      });
    } catch (failure) {
      if (response.headersSent) {
        response.destroy();
        return;
      }
      const error = toSpacesError(failure);
      response.writeHead(error.status, {
        "content-type": PROBLEM_TYPE,
        ...(request.complete ? {} : { connection: "close" }),
      });
      response.end(JSON.stringify(problemOf(error, { requestId, instance: path })));
    }
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    void answer(request, response);
  };
  const settings = { maxHeaderSize: limits.headerBytes };
  const http =
    options.tls === undefined
      ? createServer(settings, listener)
      : createTlsServer({ ...settings, ...options.tls, minVersion: "TLSv1.2" }, listener);
  const adminToken = await identity.bootstrap();
  const url = await listen(http, options);
  const close = async (): Promise<void> => {
    draining.abort(new SpacesError("SHUTTING_DOWN"));
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeIdleConnections();
    await closed;
    await host[Symbol.asyncDispose]();
    if (options.socket !== undefined) await unlink(options.socket).catch(() => undefined);
  };
  let closing: Promise<void> | undefined;
  return {
    url,
    adminToken,
    async drain() {
      closing ??= close();
      await closing;
    },
    async [Symbol.asyncDispose]() {
      closing ??= close();
      await closing;
    },
  };
}

async function listen(http: HttpServer, options: ServerOptions): Promise<string> {
  const { host = "127.0.0.1", port = 7700, socket } = options;
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    const ready = (): void => {
      http.off("error", reject);
      resolve();
    };
    if (socket === undefined) http.listen(port, host, ready);
    else http.listen(socket, ready);
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw error;
    throw new SpacesError("PORT_IN_USE", `${socket ?? `${host}:${port}`} is in use.`, {
      cause: error,
    });
  });
  if (socket !== undefined) {
    await chmod(socket, 0o600);
    return `unix://${socket}`;
  }
  const { port: bound } = http.address() as AddressInfo;
  const name = host.includes(":") ? `[${host}]` : host;
  return `${options.tls === undefined ? "http" : "https"}://${name}:${bound}`;
}
