/**
 * Spaces and relays for the tests of this folder: real agents, some of them with a loopback of their
 * own, services behind them, and a relay that ends with the test.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { RelayClient } from "./relay-client.js";
import type { GuestEndpoint } from "./relay-protocol.js";

const ARCH = process.arch === "arm64" ? "arm64" : "x64";
const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
export const AGENT = fileOf(`../guest/bin/guest-linux-${ARCH}`);
/** Another build can be tested by naming it, such as one with the address sanitizer. */
export const RELAY = process.env.RELAY_BINARY ?? fileOf(`./bin/relay-linux-${ARCH}`);

/** Waits until the condition holds. Fails the test after 10 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not in 10 s: ${what}`);
    await delay(5);
  }
}

/** Ends a process and waits for its end. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

/** Serves and fetches within a space, as lines of JSON ask. */
const INSIDE = `
const http = require("node:http");
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { serve, fetch: url, text } = JSON.parse(line);
  const say = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
  if (serve) {
    http.createServer((_, answer) => answer.end(text)).listen(serve, "127.0.0.1", () => say("ok"));
  } else {
    fetch(url).then((answer) => answer.text()).then(say, (error) => say(String(error.cause?.code)));
  }
});
require("node:child_process").spawn(process.argv[1], ["serve", process.argv[2]], { stdio: "inherit" });
`;

/** A real agent on this machine's loopback, or on one of its own. */
export class TestSpace implements AsyncDisposable {
  readonly socket: string;
  readonly token: Buffer = randomBytes(32);
  readonly #isolated: boolean;
  #child: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;

  private constructor(socket: string, isolated: boolean) {
    this.socket = socket;
    this.#isolated = isolated;
  }

  static async start(socket: string, { isolated = false } = {}): Promise<TestSpace> {
    const space = new TestSpace(socket, isolated);
    await space.start();
    return space;
  }

  async start(): Promise<void> {
    await rm(this.socket, { force: true });
    const isolation = ["--unshare-user", "--unshare-net", "--unshare-pid", "--die-with-parent"];
    const file = this.#isolated ? "bwrap" : AGENT;
    const args = this.#isolated
      ? [
          ...["--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", ...isolation, "--"],
          ...[process.execPath, "-e", INSIDE, AGENT, this.socket],
        ]
      : ["serve", this.socket];
    const child = spawn(file, args, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: process.env.PATH ?? "", SPACES_GUEST_TOKEN: this.token.toString("hex") },
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await until("the agent listens", () => existsSync(this.socket));
  }

  /** This space's end of a forward. */
  at(port: number): GuestEndpoint {
    return { kind: "guest", socket: this.socket, token: this.token, port };
  }

  async #inside(order: object): Promise<string> {
    this.#child?.stdin?.write(`${JSON.stringify(order)}\n`);
    const line = await this.#lines?.next();
    return JSON.parse(line?.done === false ? line.value : '"gone"');
  }

  /** Answers HTTP on the space's own loopback. */
  async serve(port: number, text: string): Promise<void> {
    await this.#inside({ serve: port, text });
  }

  /** The body, or the code of the error. */
  async fetch(port: number): Promise<string> {
    return this.#inside({ fetch: `http://127.0.0.1:${port}/` });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    // What runs inside is ended by the kernel a moment after its parent; it holds the output till then.
    const silent = once(child, "close");
    await end(child);
    await silent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A directory with a relay's socket and the spaces that it connects. */
export class TestBench implements AsyncDisposable {
  readonly directory: string;
  readonly client: RelayClient;
  readonly #owned: AsyncDisposable[] = [];

  private constructor(directory: string, idleMs: number) {
    this.directory = directory;
    this.client = this.newClient(idleMs);
  }

  static async make({ idleMs = 10_000 } = {}): Promise<TestBench> {
    return new TestBench(await mkdtemp(join(tmpdir(), "relay-")), idleMs);
  }

  newClient(idleMs = 10_000): RelayClient {
    const controlSocket = join(this.directory, "relay.sock");
    return new RelayClient({ controlSocket, binary: RELAY, idleMs });
  }

  own<T extends AsyncDisposable>(owned: T): T {
    this.#owned.push(owned);
    return owned;
  }

  async space(name: string, options?: { readonly isolated?: boolean }): Promise<TestSpace> {
    return this.own(await TestSpace.start(join(this.directory, `${name}.sock`), options));
  }

  async service(handler: (socket: Socket) => void): Promise<TestService> {
    return this.own(await TestService.listen(handler));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.shutdown();
    await Promise.all(this.#owned.map((owned) => owned[Symbol.asyncDispose]()));
    await rm(this.directory, { recursive: true });
  }
}

/** A TCP service on this machine's loopback. */
export class TestService implements AsyncDisposable {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();

  private constructor(handler: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.add(socket);
      socket.on("error", () => socket.destroy()).on("close", () => this.sockets.delete(socket));
      handler(socket);
    });
  }

  static async listen(handler: (socket: Socket) => void, port = 0): Promise<TestService> {
    const service = new TestService(handler);
    service.#server.listen({ port, host: "127.0.0.1", backlog: 1024 });
    await once(service.#server, "listening");
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Connects to a port of this machine. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  // A test that has seen enough need not wait for the end.
  return socket.on("error", () => socket.destroy());
}

/** All bytes that come from a port of this machine, which may reset the connection at once. */
export async function received(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1" });
  return (await ending(socket)).bytes.toString();
}

/** How a connection ends: all that came, and the error's code if there was one. */
export async function ending(socket: Socket): Promise<{ bytes: Buffer; code?: string }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return { bytes: Buffer.concat(chunks) };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), code: (error as NodeJS.ErrnoException).code ?? "?" };
  }
}
