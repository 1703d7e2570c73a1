/** Makes the HTTP server of a set of options, and binds it. */
import { lstat, unlink } from "node:fs/promises";
import {
  createServer,
  type ServerOptions as HttpOptions,
  type Server as HttpServer,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { createSecureContext } from "node:tls";
import { SpacesError } from "../contract/errors.js";
import type { ServerLimits } from "./limits.js";

export interface TlsFiles {
  /** PEM texts. */
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a server with the limits that Node itself enforces.
 * @throws SpacesError `INVALID_INPUT` for a certificate or key that cannot be used
 */
export function makeHttpServer(tls: TlsFiles | undefined, limits: ServerLimits): HttpServer {
  const settings: HttpOptions = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    // Uploads may take hours as long as they come: `body.ts` ends those that stand still.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(5_000, limits.headersMs),
    keepAliveTimeout: limits.idleMs,
    requireHostHeader: true,
    insecureHTTPParser: false,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    noDelay: true,
  };
  if (tls === undefined) return createServer(settings);
  try {
    createSecureContext(tls);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SpacesError("INVALID_INPUT", `The TLS certificate or key cannot be used: ${why}.`, {
      cause,
      suggestion: "Give a PEM certificate chain and the private key that belongs to it.",
    });
  }
  const server = createTlsServer({
    ...settings,
    ...tls,
    minVersion: "TLSv1.2",
    handshakeTimeout: limits.headersMs,
  });
  // Connections whose handshake is under way are not known otherwise.
  server.maxConnections = limits.connections * 2;
  return server;
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly socket: string | undefined;
}

/**
 * Binds a server.
 * @returns the port; undefined for a unix socket
 * @throws SpacesError `PORT_IN_USE`; `INVALID_INPUT` for an address that cannot be bound
 */
export async function bind(server: HttpServer, place: Place): Promise<number | undefined> {
  const { host, port, socket } = place;
  if (socket !== undefined) await removeDeadSocket(socket);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      const ready = (): void => {
        server.off("error", reject);
        resolve();
      };
      if (socket === undefined) server.listen({ host, port }, ready);
      else listenPrivately(server, socket, ready);
    });
  } catch (error) {
    throw bindError(error as NodeJS.ErrnoException, socket ?? `${host}:${port}`);
  }
  return socket === undefined ? (server.address() as AddressInfo).port : undefined;
}

/** Binds a unix socket that is its owner's from the start: nobody connects before its mode is right. */
function listenPrivately(server: HttpServer, socket: string, ready: () => void): void {
  // The mask is that of all threads, and Node binds before it returns: so it counts no longer.
  const mask = process.umask(0o177);
  try {
    server.listen(socket, ready);
  } finally {
    process.umask(mask);
  }
}

function bindError(error: NodeJS.ErrnoException, place: string): SpacesError {
  if (error.code === "EADDRINUSE") {
    return new SpacesError("PORT_IN_USE", `${place} is in use.`, {
      cause: error,
      suggestion: "Choose another with --port, or stop what uses it.",
    });
  }
  return new SpacesError("INVALID_INPUT", `${place} cannot be listened on: ${error.code}.`, {
    cause: error,
    suggestion: "Give an address of this machine and a port that you may use.",
  });
}

/** Removes a socket that a server left which was killed: nobody answers on it. */
async function removeDeadSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined);
  if (stat === undefined || !stat.isSocket()) return;
  const isDead = await new Promise<boolean>((resolve) => {
    const attempt = connect(path);
    attempt.once("connect", () => {
      attempt.destroy();
      resolve(false);
    });
    attempt.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (isDead) await unlink(path);
}
