/** Runs the built command line as a user would, on a data directory of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { dockerAvailability } from "./docker.js";
import { ensureTestImage } from "./docker-image.js";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const CLI = join(ROOT, "dist", "cli.js");

/** For `describe.each`: every driver, and whether it can be used on this machine. */
export async function drivers(): Promise<readonly { driver: string; available: boolean }[]> {
  const docker = await dockerAvailability();
  return [
    { driver: "virtual", available: true },
    { driver: "docker", available: docker.usable },
  ];
}

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; the repository's when absent. */
  readonly cwd?: string;
  /** Called with the running process, such as to kill it. */
  readonly onStart?: (child: ChildProcess) => void;
}

export interface ScriptOptions extends CliOptions {
  /** Name of the file it is saved under; its ending tells the language. */
  readonly file?: string;
  /** Options of `spaces run`. */
  readonly flags?: readonly string[];
  /** Arguments for the script. */
  readonly args?: readonly string[];
}

/** A data directory and the command line on it; disposing deletes its spaces and the directory. */
export class CliHome implements AsyncDisposable {
  readonly home: string;
  readonly #env: Readonly<Record<string, string>>;
  #scripts = 0;

  private constructor(home: string, env: Readonly<Record<string, string>>) {
    this.home = home;
    this.#env = {
      SPACES_HOME: join(home, "data"),
      XDG_CACHE_HOME: join(home, "cache"),
      XDG_CONFIG_HOME: join(home, "config"),
      NO_COLOR: "1",
      ...env,
    };
  }

  /** @param driver where new spaces live; `docker` has the tests' own image as its default. */
  static async make(driver = "virtual"): Promise<CliHome> {
    const env = { SPACES_DRIVER: driver };
    return new CliHome(
      await mkdtemp(join(tmpdir(), "spaces-cli-")),
      driver === "docker" ? { ...env, SPACES_DEFAULT_IMAGE: await ensureTestImage() } : env,
    );
  }

  /** The environment that commands are run with. */
  get env(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#env };
  }

  /** Writes a file below this home; gives its path. */
  async write(name: string, text: string | Uint8Array): Promise<string> {
    const path = join(this.home, "files", name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** Runs `spaces …` to its end. */
  run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...this.env, ...options.env },
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

  /** Saves a script in a file of its own and runs it with `spaces run`. */
  async script(source: string | Uint8Array, options: ScriptOptions = {}): Promise<CliResult> {
    const { file = "script.ts", flags = [], args = [], ...rest } = options;
    this.#scripts += 1;
    const path = await this.write(`${this.#scripts}/${file}`, source);
    return this.run(["run", ...flags, path, "--", ...args], rest);
  }

  /** Runs a script that must end well; gives the lines it printed. */
  async lines(source: string, options: ScriptOptions = {}): Promise<string[]> {
    const result = await this.script(source, options);
    if (result.code !== 0) {
      throw new Error(`the script ended with ${result.code}: ${result.stdout}${result.stderr}`);
    }
    return result.stdout.split("\n").slice(0, -1);
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
