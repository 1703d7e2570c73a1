/** Servers for tests that kill them: `spaces serve` as a process of its own on a given data directory. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { CLI } from "./cli.js";

interface ServeOptions {
  readonly dataDir: string;
  readonly driver: string;
  /** Any free one when absent. */
  readonly port?: number | undefined;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A running `spaces serve`; disposing ends it as SIGTERM does. */
export class ServedProcess implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** The administrator's token, at the first start of a data directory. */
  readonly adminToken: string | undefined;
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: { url: string; adminToken?: string }) {
    this.#child = child;
    this.url = ready.url;
    this.port = Number(new URL(ready.url).port);
    this.adminToken = ready.adminToken;
    this.pid = child.pid ?? 0;
  }

  /** Starts it and waits until it answers. Fails with what it printed when it ends instead. */
  static async start({ dataDir, driver, port = 0, flags = [], env = {} }: ServeOptions) {
    const args = ["serve", "--json", "--port", String(port), "--data", dataDir];
    const child = spawn(process.execPath, [CLI, ...args, "--driver", driver, ...flags], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4096);
    });
    const line = await Promise.race([
      once(createInterface({ input: child.stdout }), "line").then(([text]) => String(text)),
      once(child, "exit").then(([code]) => {
        throw new Error(`spaces serve ended with ${code}: ${said}`);
      }),
    ]);
    return new ServedProcess(child, JSON.parse(line));
  }

  /** Ends it by a signal and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return this.#child.exitCode;
    }
    const exit = once(this.#child, "exit");
    this.#child.kill(signal);
    const [code] = await exit;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGTERM");
  }
}
