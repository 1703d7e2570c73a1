/**
 * The types of `spaces:host`, the module through which the other modules of the standard library
 * reach the host. It is the prelude itself; scripts cannot import it.
 */
declare module "spaces:host" {
  /** Asks the host and blocks until it has answered. Throws a `SpacesError`. */
  export function callSync(name: string, input: unknown): unknown;
  /** Asks the host without blocking. Rejects with a `SpacesError`. */
  export function callAsync(name: string, input: unknown): Promise<unknown>;
  /** Calls a function of the worker thread itself. Throws what that function threw. */
  export function native(name: string, input: unknown): unknown;

  /** What a `SpacesError` carries beyond code and message. */
  export interface SpacesErrorOptions {
    suggestion?: string;
    details?: Record<string, unknown>;
    status?: number;
    cause?: unknown;
  }

  /** An error of the registry, as a script catches it. */
  export class SpacesError extends Error {
    code: string;
    status: number;
    suggestion: string;
    details: Record<string, unknown>;
    constructor(code: string, message: string, options?: SpacesErrorOptions);
  }

  /** What the run was started with. */
  export const script: {
    readonly args: readonly string[];
    readonly input: unknown;
    readonly env: Readonly<Record<string, string>>;
    readonly space: string | undefined;
  };

  /** Names a function that the worker calls with one argument. */
  export function hook(name: string, hook: (argument: unknown) => void): void;
  /** Carries one operation to the worker, and gives the JSON of its answer. */
  export function send(operation: string, json: string): string;
  /** Describes an error as JSON. */
  export function describe(value: unknown): string;
  /** Evaluates a lazy part of the prelude and gives what it exports. */
  export function loadLazy(name: string): unknown;

  /** Parses JSON; out of reach of a script that replaces `JSON.parse`. */
  export function parseJson(text: string): unknown;
}

/** The entry module of a run: it imports the user's script and nothing else. */
declare module "spaces:entry" {
  const nothing: undefined;
  export default nothing;
}
