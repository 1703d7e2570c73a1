/** Runs the built command line as a user would, on a data directory of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bubblewrapAvailability } from "./bubblewrap.js";
import { dockerAvailability } from "./docker.js";
import { ensureTestImage } from "./docker-image.js";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const CLI = join(ROOT, "dist", "cli.js");

/** For `describe.each`: every driver, and whether it can be used on this machine. */
export async function drivers(): Promise<readonly { driver: string; available: boolean }[]> {
  const [docker, bubblewrap] = await Promise.all([dockerAvailability(), bubblewrapAvailability()]);
  return [
    { driver: "virtual", available: true },
    { driver: "bubblewrap", available: bubblewrap.usable },
    { driver: "docker", available: docker.usable },
  ];
}

export interface CliResult {
  readonly code: number | null;
  /** What ended the process, where a signal did. */
  readonly signal?: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running command line. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves when stdout has held this text; rejects when the process ends without. */
  printed(text: string): Promise<void>;
}

export interface CliOptions {
  /** Text for standard input, which is empty without it. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
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
  readonly #running = new Set<ChildProcess>();
  #scripts = 0;

  private constructor(home: string, env: Readonly<Record<string, string>>) {
    this.home = home;
    this.#env = {
      SPACES_HOME: join(home, "data"),
      XDG_CACHE_HOME: join(home, "cache"),
      XDG_CONFIG_HOME: join(home, "config"),
      XDG_STATE_HOME: join(home, "state"),
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

  /** The environment that commands are run with: no server, and nothing on how output is to look. */
  get env(): NodeJS.ProcessEnv {
    const { FORCE_COLOR, NO_COLOR, CI, SPACES_DEBUG, SPACES_URL, SPACES_TOKEN, ...rest } =
      process.env;
    return { ...rest, ...this.#env };
  }

  /** Writes a file below this home; gives its path. */
  async write(name: string, text: string | Uint8Array): Promise<string> {
    const path = join(this.home, "files", name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }

  /** Starts `spaces …`. */
  start(args: readonly string[], options: CliOptions = {}): CliProcess {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...this.env, ...options.env },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    this.#running.add(child);
    const texts = { stdout: "", stderr: "" };
    const waiting = new Set<() => void>();
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      texts.stdout += text;
      for (const check of waiting) check();
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      texts.stderr += text;
    });
    // A command that ends without reading its input closes the pipe: that is its right.
    child.stdin?.on("error", () => child.stdin?.destroy());
    child.stdin?.end(options.input);
    options.onStart?.(child);
    const ended = new Promise<CliResult>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal: signal ?? undefined, ...texts });
      });
    });
    const printed = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!texts.stdout.includes(text)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
        void ended.then(
          (result) => reject(new Error(`It ended without "${text}": ${JSON.stringify(result)}`)),
          reject,
        );
      });
    return { child, ended, printed };
  }

  /** Runs `spaces …` to its end. */
  run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return this.start(args, options).ended;
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

  /** Runs `spaces --json …`, which has to end well, and gives what it prints. */
  async json<T = Record<string, unknown>>(
    args: readonly string[],
    options: CliOptions = {},
  ): Promise<T> {
    const result = await this.run(["--json", ...args], options);
    if (result.code !== 0) throw new Error(`spaces ${args.join(" ")}: ${JSON.stringify(result)}`);
    return JSON.parse(result.stdout) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    // A test may have left a profile that leads to a server.
    const local = ["--binding", "local"];
    const { items } = await this.json<{ items: { name: string }[] }>([...local, "list"]);
    for (const { name } of items) await this.run([...local, "delete", name, "--force"]);
    await rm(this.home, { recursive: true, force: true, maxRetries: 3 });
  }
}
