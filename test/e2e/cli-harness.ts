/** Runs the built command line in processes of its own, with its data in a directory of the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The built entry of the command line. */
export const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface CliOptions {
  /** Text for standard input, which is empty without it. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A running command line. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves when stdout has held this text; rejects when the process ends without. */
  printed(text: string): Promise<void>;
}

/** A data directory of its own, on the virtual driver, with everything that runs on it. */
export class CliHome implements AsyncDisposable {
  readonly directory: string;
  readonly #running = new Set<ChildProcess>();

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<CliHome> {
    return new CliHome(await mkdtemp(join(tmpdir(), "spaces-cli-")));
  }

  /** Writes a file and gives its path. */
  async file(name: string, text: string): Promise<string> {
    const path = join(this.directory, name);
    await writeFile(path, text);
    return path;
  }

  /** The environment that every command is run with. */
  env(more: CliOptions["env"] = {}): NodeJS.ProcessEnv {
    const { FORCE_COLOR, NO_COLOR, CI, SPACES_DEBUG, SPACES_URL, SPACES_TOKEN, ...rest } =
      process.env;
    return {
      ...rest,
      XDG_CONFIG_HOME: join(this.directory, "config"),
      SPACES_HOME: join(this.directory, "data"),
      XDG_CACHE_HOME: join(this.directory, "cache"),
      SPACES_DRIVER: "virtual",
      ...more,
    };
  }

  /** Starts a command. */
  start(args: readonly string[], options: CliOptions = {}): CliProcess {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: this.directory,
      env: this.env(options.env),
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
    child.stdin?.end(options.input);
    const ended = new Promise<CliResult>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        this.#running.delete(child);
        resolve({ code, ...texts });
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

  /** Runs a command to its end. */
  run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return this.start(args, options).ended;
  }

  /** Runs a command that has to succeed, with `--json`, and gives its value. */
  async json<T = Record<string, unknown>>(
    args: readonly string[],
    options: CliOptions = {},
  ): Promise<T> {
    const result = await this.run(["--json", ...args], options);
    if (result.code !== 0) throw new Error(`${args.join(" ")}: ${JSON.stringify(result)}`);
    return JSON.parse(result.stdout) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The directory of the package, where its `node_modules` are. */
export const PACKAGE = dirname(dirname(CLI));
