/**
 * The interpreter: runs scripts in QuickJS sandboxes on worker threads. The CLI makes a one-shot
 * one, the server and the SDK a pool.
 */
import { setFlagsFromString } from "node:v8";
import { SpacesError } from "../contract/errors.js";
import { describeEnd, fromRegistry } from "./end-errors.js";
import { checkScript, factsFor } from "./facts.js";
import { resolveLimits } from "./limits.js";
import { ModuleReader } from "./module-reader.js";
import { OutputKeeper } from "./output.js";
import { WorkerPool } from "./pool.js";
import type { SandboxWorker } from "./sandbox-worker.js";
import { errorAt, parseScriptError } from "./script-error.js";
import { Session } from "./session.js";
import { SourceLoader } from "./source.js";
import type {
  InteractiveSession,
  Interpreter,
  ScriptError,
  ScriptRequest,
  ScriptResult,
  SessionRequest,
} from "./types.js";

/** How an interpreter is set up. */
export interface InterpreterOptions {
  /** Workers kept ready; 1 when left out. */
  readonly minWorkers?: number | undefined;
  /** Workers at most, and so scripts that run at once; 64 when left out. */
  readonly maxWorkers?: number | undefined;
  /** Scripts that wait for a worker; beyond it a run is refused. 256 when left out. */
  readonly maxQueued?: number | undefined;
  /** One script in a process of its own: starts as fast as can be, keeps nothing ready after it. */
  readonly oneShot?: boolean | undefined;
  /** Directory for stripped TypeScript; without it TypeScript is stripped at every run. */
  readonly cacheDir?: string | undefined;
}

/** V8 would optimise the engine's code in the background and delay the end of a short process. */
const ONE_SHOT_FLAGS = "--wasm-tiering-budget=100000000";
const EXIT_CODES: Partial<Record<ScriptError["code"], number>> = {
  SCRIPT_TIMEOUT: 124,
  CANCELLED: 130,
};

/**
 * Makes an interpreter. Its idle workers do not hold the process; dispose of it to end them.
 *
 * @example
 * await using interpreter = createInterpreter();
 * const result = await interpreter.run({ filename: "a.ts", source: "console.log(1)", host });
 */
export function createInterpreter(options: InterpreterOptions = {}): Interpreter {
  const oneShot = options.oneShot === true;
  if (oneShot) {
    setFlagsFromString(ONE_SHOT_FLAGS);
  }
  const pool = new WorkerPool({
    minWorkers: options.minWorkers ?? 1,
    maxWorkers: options.maxWorkers ?? (oneShot ? 1 : 64),
    maxQueued: options.maxQueued ?? 256,
    oneShot,
  });
  const loader = new SourceLoader(options.cacheDir);
  return {
    run: (request) => run(pool, loader, request),
    open: (request) => open(pool, loader, request),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

async function run(
  pool: WorkerPool,
  loader: SourceLoader,
  request: ScriptRequest,
): Promise<ScriptResult> {
  const started = performance.now();
  const limits = resolveLimits(request.limits);
  const output = new OutputKeeper(limits.outputBytes);
  const modules = new ModuleReader(request, loader, limits.sourceBytes);
  const finish = (exitCode: number, error?: ScriptError): ScriptResult => ({
    exitCode,
    ...(error === undefined ? {} : { error }),
    output: output.text,
    truncated: output.truncated,
    durationMs: performance.now() - started,
  });
  const fail = (error: ScriptError) => finish(EXIT_CODES[error.code] ?? 1, error);

  let worker: SandboxWorker | undefined;
  try {
    checkScript(request, limits);
    const facts = factsFor(request.filename, request, limits);
    modules.sources.set(request.filename, request.source);
    const loaded = await loader.load(request.filename, request.source);
    if (!("text" in loaded)) {
      const { name, message, line, column } = loaded;
      const position = { file: request.filename, line, column };
      return fail(errorAt(name, message, position, request.source));
    }
    if (request.signal?.aborted === true) {
      throw new SpacesError("CANCELLED", "The script was cancelled before it began.");
    }
    worker = await pool.acquire(request.signal);
    const source = loaded.text;
    const end = await Session.run(worker, { request, source, facts, limits, output, modules });
    if (end.kind === "died" && pool.closed) {
      throw new SpacesError("CANCELLED", "The interpreter was closed.");
    }
    if (end.kind === "completed") {
      return finish(0);
    }
    if (end.kind === "exited") {
      return finish(end.exitCode);
    }
    return fail(
      end.kind === "failed"
        ? parseScriptError(end.error, modules.sources)
        : describeEnd("script", end, limits),
    );
  } catch (error) {
    return fail(fromRegistry(error));
  } finally {
    if (worker !== undefined) {
      pool.release(worker);
    }
  }
}

async function open(
  pool: WorkerPool,
  loader: SourceLoader,
  request: SessionRequest,
): Promise<InteractiveSession> {
  const limits = resolveLimits(request.limits);
  const facts = factsFor("the session", request, limits);
  // Loaded for sessions only: scripts are to start fast.
  const { Evaluator } = await import("./evaluator.js");
  const worker = await pool.acquire(undefined);
  return Evaluator.open(worker, {
    request,
    facts,
    limits,
    loader,
    onEnd: () => pool.release(worker),
  });
}
