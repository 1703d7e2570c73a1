/**
 * Docker's exec requests: starting a program in a running container and asking how it fares.
 * Called by the guest process, and by what the driver itself runs in a space.
 */
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import { Demuxer } from "./demux.js";
import type { DockerEngine } from "./engine.js";
import { causeStatus } from "./errors.js";

/** A container of a space, as it is addressed and as people know it. */
export interface Target {
  readonly engine: DockerEngine;
  readonly containerId: string;
  readonly spaceName: string;
}

export interface ExecRequest {
  readonly argv: readonly string[];
  readonly workdir?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Written to standard input, which is then closed; none: standard input is empty. */
  readonly input?: Uint8Array | undefined;
}

/** How an exec fares. `pid` is of the daemon's machine, and 0 while the program does not run yet. */
export interface ExecState {
  readonly phase: "pending" | "running" | "ended" | "refused";
  readonly exitCode: number;
  readonly pid: number;
}

/** A started exec and the stream that carries its output. */
export interface RunningExec {
  readonly id: string;
  readonly socket: Duplex;
}

/**
 * Starts a program. Docker answers before the program runs: whether it could be started at all is
 * learned from `execState`.
 * @throws SpacesError `SPACE_NOT_RUNNING` when the container does not run.
 */
export async function startExec(target: Target, request: ExecRequest): Promise<RunningExec> {
  const doing = `run ${request.argv[0]} in space "${target.spaceName}"`;
  try {
    const exec = await target.engine.call(doing, (docker, abortSignal) =>
      docker.getContainer(target.containerId).exec({
        Cmd: [...request.argv],
        Env: Object.entries(request.env ?? {}).map(([name, value]) => `${name}=${value}`),
        AttachStdin: request.input !== undefined,
        AttachStdout: true,
        AttachStderr: true,
        ...(request.workdir === undefined ? {} : { WorkingDir: request.workdir }),
        abortSignal,
      }),
    );
    // Without dockerode's `stdin` the raw socket comes back: it can be half-closed and pushes back.
    const socket = await target.engine.call(doing, (_docker, abortSignal) =>
      exec.start({ hijack: true, stdin: false, abortSignal }),
    );
    if (request.input !== undefined) socket.end(request.input);
    return { id: exec.id, socket };
  } catch (error) {
    if (causeStatus(error) !== 404) throw error;
    throw new SpacesError(
      "SPACE_NOT_RUNNING",
      `The container of space "${target.spaceName}" is gone.`,
      { cause: error },
    );
  }
}

/** Asks the daemon how an exec fares. */
export async function execState(target: Target, execId: string): Promise<ExecState> {
  const found = await target.engine.call(
    `look after a command in space "${target.spaceName}"`,
    (docker, abortSignal) => docker.getExec(execId).inspect({ abortSignal }),
  );
  const { Pid: pid, Running: running } = found;
  // The type says number, but Docker gives null until there is an exit code.
  const exitCode: number | null = found.ExitCode;
  if (pid !== 0) return { phase: running ? "running" : "ended", exitCode: exitCode ?? 0, pid };
  if (exitCode !== null && !running) return { phase: "refused", exitCode, pid };
  return { phase: "pending", exitCode: 0, pid };
}

/** Waits until the program runs, has run, or was refused. `pending` when that never shows. */
export async function execStarted(target: Target, execId: string): Promise<ExecState> {
  let state = await execState(target, execId);
  // Starting takes some 40 ms; minutes on a machine out of breath.
  for (let waited = 0, pause = 2; state.phase === "pending" && waited < 120_000; waited += pause) {
    await delay(pause);
    pause = Math.min(pause * 1.5, 250);
    state = await execState(target, execId);
  }
  return state;
}

/** How a program of the driver's own ended, with the beginning of what it or the daemon said. */
export interface ExecResult {
  readonly state: ExecState;
  readonly output: string;
}

/**
 * Runs a short program of the driver's own to its end.
 * @param timeoutMs after it the program is left alone and its state is what it is then.
 */
export async function runExec(
  target: Target,
  request: ExecRequest,
  timeoutMs: number,
): Promise<ExecResult> {
  const { id, socket } = await startExec(target, request);
  // Nothing is admitted: what is withheld is all that is wanted of the output.
  const demuxer = new Demuxer(async () => false);
  const ended = new Promise<void>((resolve) => {
    socket.once("close", resolve);
    socket.once("error", () => resolve());
    demuxer.once("error", () => resolve());
  });
  socket.pipe(demuxer);
  const timer = new AbortController();
  await Promise.race([
    ended,
    delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined),
  ]);
  timer.abort();
  socket.destroy();
  let state = await execStarted(target, id);
  for (let tries = 0; state.phase === "running" && tries < 5; tries++) {
    await delay(5 * 2 ** tries);
    state = await execState(target, id);
  }
  const output = demuxer.withheld;
  demuxer.close();
  return { state, output };
}
