/**
 * What the worker needs of a JavaScript engine. `quickjs.ts` implements it; nothing else in the
 * worker knows which engine runs.
 */

/** What the sandbox asks of the worker while guest code runs. None of these may throw. */
export interface EngineHost {
  /** One operation of the prelude; an empty answer makes the guest spin until it is interrupted. */
  call(operation: string, json: string): string;
  /** The text of a module by its resolved name. */
  loadModule(name: string): ModuleText;
  /** Resolves a specifier against the name of the importing module. */
  resolveModule(importer: string, specifier: string): string;
  /** The built text behind a lazy part of the prelude. */
  lazyText(name: string): string;
  /** Polled while guest code runs: true ends the guest, uncatchably. */
  shouldStop(): boolean;
}

/** A text, or the message of the error that the importing script gets. */
export type ModuleText = { readonly text: string } | { readonly error: string };

export interface SandboxOptions {
  readonly host: EngineHost;
  /** Cap of the guest's memory, in bytes; a whole number of pages. */
  readonly memoryBytes: number;
  readonly stackBytes: number;
  /** Text of the prelude, evaluated as the module `spaces:host`. */
  readonly prelude: string;
}

/** A fresh sandbox: memory, globals and modules of its own. It is dropped after one script or session. */
export interface Sandbox {
  /**
   * Calls a hook of the prelude with one string. Gives false when the engine could not run it to
   * its end: stopped, out of memory, or broken.
   */
  callHook(name: string, argument: string): boolean;
  /**
   * Evaluates code as a script that may await, and calls the hook `evaluated` with its promise, or
   * `threw` with the error where it cannot be compiled. Gives false as `callHook` does.
   */
  evaluate(filename: string, code: string): boolean;
  /** Forgets the rejections that nobody has handled yet. */
  forgetRejections(): void;
  /** Runs up to `limit` promise jobs and gives how many ran; -1 when one could not end. */
  runJobs(limit: number): number;
  /** Reports the first promise that was rejected and not handled to the hook `fail`. */
  reportUnhandledRejection(): boolean;
  /** Whether the guest was refused memory at any time. */
  readonly memoryRefused: boolean;
  /** Whether the engine itself failed; the sandbox is unusable then. */
  readonly broken: boolean;
}

export interface Engine {
  createSandbox(options: SandboxOptions): Promise<Sandbox>;
}
