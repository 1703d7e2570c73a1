/**
 * Starts the real agent for the tests of this folder, over a unix socket or over its stdin and
 * stdout, and takes everything away afterwards.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { GuestAgentProcess } from "./guest-process.js";
import { GuestSession } from "./guest-session.js";
import type { GuestSpawnRequest } from "./spawn-request.js";

const ARCH = process.arch === "arm64" ? "arm64" : "x64";
/** Another build can be tested by naming it, such as one with the address sanitizer. */
export const AGENT =
  process.env.GUEST_AGENT ?? fileURLToPath(new URL(`./bin/guest-linux-${ARCH}`, import.meta.url));
export const ENV = { PATH: process.env.PATH ?? "/usr/bin:/bin" };

/** Waits until the condition holds. Fails the test after 10 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not in 10 s: ${what}`);
    await delay(5);
  }
}

/** A running agent. */
export class TestAgent implements AsyncDisposable {
  readonly token: Buffer;
  readonly child: ChildProcess;
  readonly socketPath: string;
  readonly #directory: string;

  private constructor(child: ChildProcess, token: Buffer, directory: string) {
    this.child = child;
    this.token = token;
    this.#directory = directory;
    this.socketPath = join(directory, "agent.sock");
  }

  /** @param program another build of the agent */
  static async serve(program = AGENT, env: Record<string, string> = {}): Promise<TestAgent> {
    const directory = await mkdtemp(join(tmpdir(), "guest-"));
    const token = randomBytes(32);
    const child = spawn(program, ["serve", join(directory, "agent.sock")], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...ENV, ...env, SPACES_GUEST_TOKEN: token.toString("hex") },
    });
    const agent = new TestAgent(child, token, directory);
    await until("the agent listens", () => existsSync(agent.socketPath));
    return agent;
  }

  static async stdio(): Promise<TestAgent> {
    const token = randomBytes(32);
    const child = spawn(AGENT, ["stdio"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...ENV, SPACES_GUEST_TOKEN: token.toString("hex") },
    });
    return new TestAgent(child, token, await mkdtemp(join(tmpdir(), "guest-")));
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** A raw connection to the socket. */
  async socket(): Promise<Socket> {
    const socket = connect(this.socketPath);
    await once(socket, "connect");
    return socket;
  }

  async session(): Promise<GuestSession> {
    return GuestSession.open(await this.socket(), { token: this.token });
  }

  /** The agent's stdin and stdout as one stream. */
  pipes(): Duplex {
    const { stdin, stdout } = this.child;
    if (stdin === null || stdout === null) throw new Error("this agent serves a socket");
    return Duplex.from({ readable: stdout, writable: stdin });
  }

  /** Resident memory in KiB. */
  memory(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      const ended = once(this.child, "exit");
      this.child.kill("SIGKILL");
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Reads a stream to its end. */
export async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Starts a shell command. */
export function sh(
  session: GuestSession,
  script: string,
  more: Partial<GuestSpawnRequest> = {},
): Promise<GuestAgentProcess> {
  return session.spawn({ argv: ["/bin/sh", "-c", script], env: ENV, workdir: "/", ...more });
}

/** Runs a shell command and collects everything. */
export async function run(session: GuestSession, script: string) {
  const process = await sh(session, script);
  const [stdout, stderr, exit] = await Promise.all([
    text(process.stdout),
    text(process.stderr),
    process.exit,
  ]);
  return { stdout, stderr, ...exit };
}

/** The pids of this machine whose command line or environment contains the marker. */
export function processesWith(marker: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/stat`, "latin1");
        if (/\) [ZX] /.test(status)) return false;
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(marker);
      } catch (error) {
        if (error instanceof Error && "code" in error) return false;
        throw error;
      }
    })
    .map(Number);
}
