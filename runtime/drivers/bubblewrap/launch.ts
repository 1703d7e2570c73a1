/**
 * Runs bubblewrap: one detached process that waits for the space's main process, which stays held
 * back until it is released. Used by the driver and by its probe.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { SpacesError } from "../../contract/errors.js";
import { isRoot } from "./host-user.js";
import type { BubblewrapProgram } from "./program.js";
import { type Bind, madeFiles, STAGED_BUBBLEWRAP, sandboxArguments, stageFor } from "./sandbox.js";
import { seccompFilter } from "./seccomp.js";
import { findProgram } from "./system-mounts.js";

const ARGUMENTS_FD = 3;
const INFO_FD = 4;
const BLOCK_FD = 5;
const SECCOMP_FD = 6;
const FIRST_DATA_FD = 7;
const ANSWER_MS = 30_000;
const STDERR_CHARACTERS = 4000;

export interface LaunchRequest {
  readonly program: BubblewrapProgram;
  /** Whom to become on the host; needed when this process is root. */
  readonly uid: number | undefined;
  readonly hostname: string;
  readonly home: string;
  readonly binds: readonly Bind[];
  readonly env: Readonly<Record<string, string>>;
  /** The main process. Other users can read it on the host: it must hold no secret. */
  readonly command: readonly string[];
}

/** How bubblewrap itself ended. */
interface Ended {
  readonly exitCode: number | null;
  readonly error: Error | undefined;
}

/** A sandbox that is complete but whose main process has not begun. */
export class Launched {
  /** Number of the space's main process on the host. */
  readonly mainPid: number;
  /** Resolves when bubblewrap has ended and all that it said is known; never rejects. */
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #stderr: () => string;

  constructor(
    child: ChildProcess,
    mainPid: number,
    parts: { readonly ended: Promise<Ended>; readonly stderr: () => string },
  ) {
    this.#child = child;
    this.mainPid = mainPid;
    this.ended = parts.ended;
    this.#stderr = parts.stderr;
  }

  get monitorPid(): number | undefined {
    return this.#child.pid;
  }

  /** What bubblewrap has complained about so far. */
  get stderr(): string {
    return this.#stderr();
  }

  /** Lets the main process begin. */
  release(): void {
    streamOf(this.#child, BLOCK_FD).end("1");
  }

  /** Lets go of it: it outlives this process. */
  detach(): void {
    letGo(this.#child);
  }
}

/**
 * Makes a sandbox with a main process that waits for its release.
 * @throws SpacesError `DRIVER_FAILED` with what bubblewrap says; some of it may still run then
 */
export async function launch(request: LaunchRequest): Promise<Launched> {
  const files = [...madeFiles(request.hostname, request.home)];
  const dataFds = new Map(files.map(([path], index) => [path, FIRST_DATA_FD + index]));
  const stageFd = FIRST_DATA_FD + files.length;
  const { binds, command, stage } = commandOf(request, stageFd);
  const filter = seccompFilter();
  const sandbox = sandboxArguments(request.program, {
    ...request,
    binds,
    dataFds,
    seccompFd: filter === undefined ? undefined : SECCOMP_FD,
  });
  const inputs = new Map<number, string | Buffer>([
    [ARGUMENTS_FD, joined(sandbox)],
    [SECCOMP_FD, filter ?? ""],
    ...files.map(([, text], index): [number, string] => [FIRST_DATA_FD + index, text]),
    ...(stage === undefined ? [] : [[stageFd, joined(stage)] as [number, string]]),
  ]);
  const [file = "", ...rest] = command;
  const child = spawn(file, rest, {
    // A session of its own: what ends the terminal's processes does not end the space.
    detached: true,
    cwd: "/",
    env: {},
    stdio: [
      ...["ignore", "ignore", "pipe", "pipe", "pipe", "pipe"],
      ...[...inputs.keys()].slice(1).map(() => "pipe"),
    ] as Array<"ignore" | "pipe">,
  });
  const stderr = collectErrors(child);
  const ended = new Promise<Ended>((resolve) => {
    child.once("error", (error) => resolve({ exitCode: null, error }));
    child.once("close", (exitCode) => resolve({ exitCode, error: undefined }));
  });
  try {
    for (const [fd, text] of inputs) streamOf(child, fd).end(text);
    const pid = await Promise.race([
      mainPidOf(child),
      failureOf(ended, stderr),
      timeout(ANSWER_MS),
    ]);
    return new Launched(child, pid, { ended, stderr });
  } catch (error) {
    letGo(child);
    child.kill("SIGKILL");
    throw error;
  }
}

/** The command, and for root the stage below which it runs. */
function commandOf({ program, uid, binds, command }: LaunchRequest, stageFd: number) {
  const inner = (path: string) => [
    path,
    ...["--args", String(ARGUMENTS_FD), "--info-fd", String(INFO_FD)],
    ...["--block-fd", String(BLOCK_FD), "--", ...command],
  ];
  if (uid === undefined) {
    if (isRoot()) throw new SpacesError("INTERNAL", "A space must not run as root.");
    return { binds, command: inner(program.path), stage: undefined };
  }
  const stage = stageFor(program, binds);
  const setpriv = findProgram("setpriv", "") ?? "setpriv";
  return {
    binds: stage.binds,
    stage: stage.arguments,
    command: [
      ...[program.path, "--args", String(stageFd), "--"],
      ...[setpriv, "--reuid", String(uid), "--regid", String(uid), "--clear-groups", "--"],
      ...inner(program.path.startsWith("/usr/") ? program.path : STAGED_BUBBLEWRAP),
    ],
  };
}

function joined(words: readonly string[]): string {
  return words.map((word) => `${word}\0`).join("");
}

function streamOf(child: ChildProcess, fd: number): Duplex {
  const stream = child.stdio[fd];
  if (stream instanceof Duplex) return stream;
  throw new SpacesError("DRIVER_FAILED", "bubblewrap could not be run.", {
    suggestion: "Check that this user may start more processes and open more files.",
  });
}

function collectErrors(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-STDERR_CHARACTERS);
  });
  for (const stream of child.stdio) {
    // A broken pipe means that bubblewrap has ended, of which its exit tells more.
    stream?.on("error", () => stream.destroy());
  }
  return () => text.trim();
}

function letGo(child: ChildProcess): void {
  for (const stream of child.stdio) stream?.destroy();
  child.unref();
}

function mainPidOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    let text = "";
    streamOf(child, INFO_FD)
      .setEncoding("utf8")
      .on("data", (chunk: string) => {
        text += chunk;
        const pid = /"child-pid":\s*(\d+)\D/.exec(text)?.[1];
        if (pid !== undefined) resolve(Number(pid));
      });
  });
}

async function failureOf(ended: Promise<Ended>, stderr: () => string): Promise<never> {
  const { exitCode, error } = await ended;
  throw launchError(stderr() || error?.message || `it ended with exit code ${exitCode}`, error);
}

/** The error of a bubblewrap that could not make a sandbox. */
export function launchError(reason: string, cause?: unknown): SpacesError {
  return new SpacesError("DRIVER_FAILED", `bubblewrap could not make the space: ${reason}.`, {
    details: { reason },
    cause,
  });
}

function timeout(ms: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    const late = () => reject(launchError(`no answer within ${ms} ms`));
    setTimeout(late, ms).unref();
  });
}
