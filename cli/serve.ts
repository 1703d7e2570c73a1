/** `spaces serve`: the server on the command line. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { defaultDataDir } from "../runtime/data-dir.js";
import type { TlsFiles } from "../runtime/server/listening.js";
import type { LogLevel } from "../runtime/server/log.js";
import { examples } from "./help.js";
import { parseDuration } from "./quantities.js";
import type { Session } from "./session.js";

interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly socket?: string;
  readonly data?: string;
  readonly driver?: string;
  readonly auth: "token" | "none";
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly publicUrl?: string;
  readonly allowHost: readonly string[];
  readonly allowOrigin: readonly string[];
  readonly drainTimeout: string;
  readonly logLevel: LogLevel;
}

const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "silent"];

export function defineServe(program: Command, session: Session): void {
  const command = program
    .command("serve")
    .summary("serve the spaces of a data directory over HTTP")
    .description(
      "Serve the spaces of a data directory over HTTP, until SIGTERM or SIGINT; spaces stay up. The log goes to stderr.",
    )
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <port>", "port to listen on; 0 for any that is free", parsePort, 7700)
    .option("--socket <path>", "listen on a unix socket instead")
    .option("--data <directory>", "data directory (default: SPACES_HOME)")
    .option("--driver <name>", "driver for spaces whose template names none")
    .addOption(
      new Option("--auth <kind>", "`none` takes everybody for you; on 127.0.0.1 or a socket only")
        .choices(["token", "none"])
        .default("token"),
    )
    .option("--tls-cert <file>", "certificate chain, PEM")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--public-url <url>", "URL by which clients and spaces reach the server", parseUrl)
    .option("--allow-host <name>", "answer to this name too (repeatable)", collect, [])
    .option("--allow-origin <origin>", "let pages of this site call (repeatable)", collect, [])
    .option("--drain-timeout <time>", "time for calls to end when the server does", "10s")
    .addOption(
      new Option("--log-level <level>", "least level that is logged")
        .choices(LOG_LEVELS)
        .default("info"),
    )
    .action(async (options: ServeOptions) => serve(session, options));
  examples(
    command,
    "serve",
    "serve --port 0 --auth none",
    "serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --public-url https://spaces.example.org",
    "serve --socket /run/spaces/spaces.sock",
  );
}

async function serve(session: Session, options: ServeOptions): Promise<void> {
  const { signal } = session;
  const drainMs = parseDuration(options.drainTimeout, "--drain-timeout");
  const [{ openServer }, { createLog }, tls] = await Promise.all([
    import("../runtime/server/server.js"),
    import("../runtime/server/log.js"),
    readTls(options),
  ]);
  const { host, port, socket, auth, publicUrl, driver } = options;
  await using server = await openServer({
    dataDir: dataDirOf(options.data),
    host,
    port,
    socket,
    auth,
    publicUrl,
    tls,
    driver: driver ?? (process.env.SPACES_DRIVER || undefined),
    allowHosts: options.allowHost,
    allowOrigins: options.allowOrigin,
    log: createLog(options.logLevel),
  });
  const { url, adminToken } = server;
  if (session.output.isJson) {
    session.output.data(`${JSON.stringify({ url, adminToken, pid: process.pid })}\n`);
  } else {
    session.output.data(`${url}\n`);
    if (adminToken !== undefined) session.output.errorData(firstStart(url, adminToken));
  }
  if (!signal.aborted) {
    await once(signal, "abort");
  }
  session.output.note("Shutting down; a second signal ends at once.");
  await server.drain(drainMs);
  // Who asked a server to end did not interrupt it.
  session.endWell();
}

function firstStart(url: string, token: string): string {
  return `This is the first start. The administrator's token is shown now and never again:

  export SPACES_URL=${url}
  export SPACES_TOKEN=${token}

`;
}

function dataDirOf(data: string | undefined): string {
  return data === undefined ? defaultDataDir() : resolve(data);
}

/** @throws SpacesError `INVALID_INPUT` for one file without the other, and for files that cannot be read */
async function readTls({ tlsCert, tlsKey }: ServeOptions): Promise<TlsFiles | undefined> {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new SpacesError("INVALID_INPUT", "TLS needs both --tls-cert and --tls-key.");
  }
  const [cert, key] = await Promise.all([readPem(tlsCert), readPem(tlsKey)]);
  return { cert, key };
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new SpacesError("INVALID_INPUT", `"${path}" cannot be read: ${code}.`, { cause });
  }
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port, 0 to 65535.");
}

function parseUrl(text: string): string {
  const { protocol, search, hash, username, password } = URL.canParse(text)
    ? new URL(text)
    : new URL("invalid:");
  if (!/^https?:$/.test(protocol) || `${search}${hash}${username}${password}` !== "") {
    throw new InvalidArgumentError(
      "It must be an http or https URL without credentials or a query.",
    );
  }
  return text.replace(/\/+$/, "");
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
