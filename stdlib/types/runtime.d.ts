/** The module `runtime`: what the script was started with, and how it waits and ends. */

declare module "runtime" {
  /**
   * Arguments of the script, after its own name.
   *
   * @example
   * const [target = "dev"] = args;
   */
  export const args: readonly string[];

  /**
   * The environment variables that were opened with `--allow-env NAME`. Reading another one throws
   * `PERMISSION_DENIED`; `"NAME" in env` asks first.
   *
   * @example
   * const token = "TOKEN" in env ? env.TOKEN : undefined;
   */
  export const env: { readonly [name: string]: string };

  /**
   * The JSON value that the script was given as its input; undefined without one.
   *
   * @example
   * const { branch } = input as { branch: string };
   */
  export const input: unknown;

  /**
   * Waits. Timers and promises rest meanwhile; see `sleep_async` for a wait beside other work.
   *
   * @example
   * while (!spaces.is_running("dev")) sleep(0.5);
   *
   * @param seconds From 0; fractions allowed.
   * @throws SpacesError `INVALID_INPUT`
   */
  export function sleep(seconds: number): void;

  /**
   * A promise that resolves after a while, during which other work goes on.
   *
   * @example
   * await Promise.all([sleep_async(1), work()]);
   *
   * @param seconds From 0; fractions allowed.
   * @throws SpacesError `INVALID_INPUT`
   */
  export function sleep_async(seconds: number): Promise<void>;

  /**
   * Ends the script at once; `finally` blocks do not run.
   *
   * @example
   * if (failed > 0) exit(1);
   *
   * @param code Exit code from 0 to 255; 0 by default.
   * @throws SpacesError `INVALID_INPUT`
   */
  export function exit(code?: number): never;

  /** All of the module. */
  const runtime: Omit<typeof import("runtime"), "default">;
  export default runtime;
}
