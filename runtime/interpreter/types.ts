/**
 * What callers of the interpreter meet: the options of a run, the host it talks to, the result.
 * The interpreter knows no spaces: it carries named calls out of the sandbox and their answers in.
 */
import type { SerializedError } from "../contract/errors.js";

/** Bounds on one run. Every field has a default in `limits.ts`. */
export interface ScriptLimits {
  /** Wall time; undefined means none. */
  readonly timeoutMs?: number | undefined;
  /** WebAssembly memory of the script, rounded up to pages of 64 KiB. */
  readonly memoryBytes?: number | undefined;
  readonly sourceBytes?: number | undefined;
  /** Output kept in `ScriptResult.output`; more is dropped behind a marker. */
  readonly outputBytes?: number | undefined;
  /** Host calls in flight at once. */
  readonly concurrentCalls?: number | undefined;
}

/** What a script may reach beyond the host's own calls. Nothing by default. */
export interface ScriptPermissions {
  /** Hosts (`example.org`, `example.org:8080`, `*.example.org`) for `fetch`; `true` is any public one. */
  readonly net?: readonly string[] | true | undefined;
  /** Environment variables readable through `runtime.env`; `true` is all. */
  readonly env?: readonly string[] | true | undefined;
}

/** Answers the calls of a script, such as `spaces.start`. Rejects with a `SpacesError`. */
export type HostCall = (
  name: string,
  input: unknown,
  options: { readonly signal: AbortSignal },
) => Promise<unknown>;

/**
 * Makes a call, and does something before and after.
 * @param call `json` is the input as the script gave it
 * @param make makes the call
 */
export type AroundCall = (
  call: { readonly name: string; readonly json: string; readonly input: unknown },
  make: () => Promise<unknown>,
) => Promise<unknown>;

/** A module that is known by another path than the one it was imported by. */
export interface ModuleFile {
  /** As the path that was asked for: relative to the script's directory, normalised, within it. */
  readonly path: string;
  readonly source: string;
}

/**
 * Gives the text of a module that a script imports by a relative path, or undefined. The message of a
 * `SpacesError` is shown to the script.
 */
export type ModuleSource = (path: string) => Promise<string | ModuleFile | undefined>;

export interface ScriptRequest {
  /** Name in error positions, such as `script.ts`. TypeScript is recognised by its ending. */
  readonly filename: string;
  readonly source: string;
  readonly args?: readonly string[] | undefined;
  /** What `runtime.input` gives. JSON-safe. */
  readonly input?: unknown;
  /** The environment of which `permissions.env` opens a part. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Id or name of the space that the `space` module is bound to. */
  readonly space?: string | undefined;
  readonly limits?: ScriptLimits | undefined;
  readonly permissions?: ScriptPermissions | undefined;
  /**
   * Reads modules imported by relative path. The path is relative to the script's own directory,
   * normalised and never leads out of it.
   */
  readonly moduleSource?: ModuleSource | undefined;
  readonly host: HostCall;
  /** Stands around each call that the script makes, also `fetch`; records do. */
  readonly aroundCall?: AroundCall | undefined;
  /** Called with each piece of console output as it comes. */
  readonly onOutput?: ((stream: "stdout" | "stderr", text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where in the user's own source an error happened. Line and column count from 1. */
export interface ScriptPosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a script died of. */
export interface ScriptError {
  /** The class name the script gave it, such as `TypeError`. */
  readonly name: string;
  readonly message: string;
  /**
   * `SCRIPT_FAILED`, `SCRIPT_TIMEOUT`, `SCRIPT_MEMORY`, `SCRIPT_NEVER_SETTLES`, `CANCELLED`,
   * `INVALID_INPUT` (source too large), `LIMIT_EXCEEDED` (pool full): decided from the host's own
   * state, never from what the guest claims. An uncaught `SpacesError` keeps `SCRIPT_FAILED` here
   * and has its own error in `error`.
   */
  readonly code: SerializedError["code"];
  /** The uncaught error of the registry, when the script died of one. */
  readonly error?: SerializedError | undefined;
  readonly position?: ScriptPosition | undefined;
  /** Stack with the user's own files and positions only. */
  readonly stack?: string | undefined;
  /** Few lines of source around the position, with a caret under the column. */
  readonly frame?: string | undefined;
  readonly cause?: ScriptError | undefined;
}

export interface ScriptResult {
  /** 0, the code given to `runtime.exit`, 1 for an uncaught error, 124 for a timeout. */
  readonly exitCode: number;
  readonly error?: ScriptError | undefined;
  /** stdout and stderr as they came, bounded. */
  readonly output: string;
  readonly truncated: boolean;
  readonly durationMs: number;
}

/** How an interactive session is set up. */
export interface SessionRequest
  extends Pick<
    ScriptRequest,
    | "args"
    | "input"
    | "env"
    | "space"
    | "permissions"
    | "moduleSource"
    | "host"
    | "aroundCall"
    | "onOutput"
  > {
  /** Those of the session as a whole; there is no limit to its output. */
  readonly limits?: Omit<ScriptLimits, "timeoutMs" | "outputBytes"> | undefined;
  /** Whether values are shown in the colours of a terminal. */
  readonly colors?: boolean | undefined;
  /** Called with an error that nothing caught in code that ran between inputs, such as in a timer. */
  readonly onUncaught?: ((error: ScriptError) => void) | undefined;
}

/** How one input is evaluated. */
export interface EvaluateOptions {
  /** Cancels the input; the session goes on where its sandbox survives. */
  readonly signal?: AbortSignal | undefined;
  /** Wall time of the input; undefined means none. */
  readonly timeoutMs?: number | undefined;
  /** Nothing follows: what is unfinished is an error. */
  readonly whole?: boolean | undefined;
  /** What the input is called in positions; `repl` and its number when left out. */
  readonly label?: string | undefined;
}

/** What came of an input. */
export type Evaluation =
  /** `text` shows the value; there is none where the input only declares something. */
  | { readonly kind: "value"; readonly text: string | undefined }
  /** It is the beginning of something longer: nothing was evaluated. */
  | { readonly kind: "incomplete" }
  /** It failed; the session goes on. */
  | { readonly kind: "failed"; readonly error: ScriptError }
  /** The session is over: by `runtime.exit`, or because its sandbox could not be kept. */
  | { readonly kind: "ended"; readonly exitCode: number }
  | { readonly kind: "lost"; readonly error: ScriptError };

/** A sandbox that lives on from input to input. Disposing ends it. */
export interface InteractiveSession extends AsyncDisposable {
  /**
   * Evaluates an input, after those before it have ended. Never rejects for what it does. What is
   * declared at its top lives on; `_` is the last value and `_error` the last error.
   *
   * @param source TypeScript or JavaScript that may import and await
   */
  evaluate(source: string, options?: EvaluateOptions): Promise<Evaluation>;
  /**
   * Names the members of an object that begin with a prefix; runs no getters of the guest.
   *
   * @param path names that lead to it; the empty path leads to the global object
   */
  complete(path: readonly string[], prefix: string): Promise<readonly string[]>;
  /** Cancels what runs, also what runs between inputs. */
  cancel(): void;
  /** Whether the session is over. */
  readonly ended: boolean;
}

/** Runs scripts, each in a fresh sandbox. */
export interface Interpreter extends AsyncDisposable {
  /**
   * Opens an interactive session. It keeps a worker for itself until it ends.
   *
   * @throws SpacesError `INVALID_INPUT` when its input is not JSON-safe, `LIMIT_EXCEEDED` when all
   *   workers are busy, or the error of the space that it is to be bound to
   */
  open(request: SessionRequest): Promise<InteractiveSession>;
  /** Runs one script to its end. Never rejects for what a script does; the result says it. */
  run(request: ScriptRequest): Promise<ScriptResult>;
}
