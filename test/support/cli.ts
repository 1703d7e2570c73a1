/** Runs the built command line as a user would, on a data directory of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist", "cli.js");

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the running process, such as to kill it. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** A data directory and the command line on it; disposing deletes its spaces and the directory. */
export class CliHome implements AsyncDisposable {
  readonly home: string;
  readonly #driver: string;

  private constructor(home: string, driver: string) {
    this.home = home;
    this.#driver = driver;
  }

  static async make(driver = "virtual"): Promise<CliHome> {
    return new CliHome(await mkdtemp(join(tmpdir(), "spaces-cli-")), driver);
  }

  /** Runs `spaces …` to its end. */
  run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: ROOT,
      env: {
        ...process.env,
        SPACES_HOME: join(this.home, "data"),
        XDG_CACHE_HOME: join(this.home, "cache"),
        SPACES_DRIVER: this.#driver,
        NO_COLOR: "1",
        ...options.env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    // A command that ends without reading its input closes the pipe: that is its right.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(options.input ?? "");
    options.onStart?.(child);
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
  }

  /** Runs `spaces … --json` and gives what it prints. */
  async json<T>(args: readonly string[]): Promise<T> {
    const result = await this.run([...args, "--json"]);
    if (result.code !== 0) throw new Error(`spaces ${args.join(" ")}: ${result.stderr}`);
    return JSON.parse(result.stdout) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { items } = await this.json<{ items: { name: string }[] }>(["list"]);
    for (const { name } of items) await this.run(["delete", name, "--force"]);
    await rm(this.home, { recursive: true, force: true });
  }
}
