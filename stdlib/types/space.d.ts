/** The module `space`: the space that the script is bound to. */
// Made from spaces.d.ts by tools/types.mjs; change that file, and run the tool.

declare module "space" {
  import type {
    CommandResult,
    FieldInfo,
    PortForward,
    RunOptions,
    RunScriptOptions,
    SpaceInfo,
  } from "spaces";

  /** A function of `files` without the space, which is the current one. */
  type OnThisSpace<Call> = Call extends (space: string, ...rest: infer Rest) => infer Result
    ? (...rest: Rest) => Result
    : never;
  type FileFunctions = Omit<typeof import("files"), "default">;

  /**
   * Name of the space; undefined where the script is bound to none. All else throws
   * `SPACE_NOT_FOUND` there, `space.name` of the default export too.
   *
   * @example
   * console.log(name);
   */
  export const name: string | undefined;

  /** Id of the space; undefined where the script is bound to none. */
  export const id: string | undefined;

  /**
   * The functions of the module `files`, for the files of the space.
   *
   * @example
   * files.write("notes.txt", "remember\n");
   */
  export const files: {
    readonly [Name in keyof FileFunctions]: OnThisSpace<FileFunctions[Name]>;
  };

  /**
   * Starts a space and waits until it runs. Does nothing where it runs already.
   *
   * @example
   * space.start();
   *
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_START_FAILED`, `DRIVER_UNAVAILABLE`, `CONFLICT`
   */
  export function start(): true;

  /**
   * Stops a space with everything in it, and waits until it has stopped. Does nothing where it is
   * stopped already.
   *
   * @example
   * space.stop();
   *
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `CONFLICT`
   */
  export function stop(): true;

  /**
   * Stops a running space and starts it again.
   *
   * @example
   * space.restart();
   *
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `SPACE_START_FAILED`
   */
  export function restart(): true;

  /**
   * Whether a space is running.
   *
   * @example
   * if (!space.is_running()) space.start();
   *
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function is_running(): boolean;

  /**
   * Puts off the time at which a space is deleted by itself.
   *
   * @example
   * spaces.extend("test", 3600);
   *
   * @param duration Seconds that are added to the time at which it expires.
   * @returns When it expires now.
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_EXPIRED`, `CONFLICT` for one that never expires
   */
  export function extend(duration: number): string;

  /**
   * Everything about one space.
   *
   * @example
   * console.log(space.get().status);
   *
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function get(): SpaceInfo;

  /**
   * The value of a custom field: what was set, else its default, else an empty string.
   *
   * @example
   * const region = space.get_field("region");
   *
   * @param field Name of a field that the template defines.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`
   */
  export function get_field(field: string): string;

  /**
   * Sets the value of a custom field.
   *
   * @example
   * space.set_field("region", "eu");
   *
   * @param field Name of a field that the template defines.
   * @param value The new value; an empty string is one.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`, `INVALID_INPUT`
   */
  export function set_field(field: string, value: string): true;

  /**
   * The custom fields of a space with their values.
   *
   * @example
   * for (const field of space.list_fields()) console.log(field.name, field.is_set);
   *
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function list_fields(): FieldInfo[];

  /**
   * The description of a space.
   *
   * @example
   * console.log(space.get_description());
   *
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function get_description(): string;

  /**
   * Sets the description of a space.
   *
   * @example
   * space.set_description("Where the new parser is written");
   *
   * @param description Free text; may be empty.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function set_description(description: string): true;

  /**
   * Runs a command in a running space and gives its output. With arguments the program is run
   * directly; without, the command is a line for the space's shell.
   *
   * @example
   * const version = space.run("node", ["--version"]);
   * space.run("npm ci && npm test", { timeout: 600, workdir: "/workspace/app" });
   *
   * @param command Program, or command line.
   * @param args Arguments, or all the options as one object.
   * @param timeout Seconds; 30 by default.
   * @param workdir Directory to run in.
   * @returns stdout and stderr as they came.
   * @throws SpacesError `COMMAND_FAILED` and `COMMAND_TIMEOUT` (with exit code and output in
   *   `details`), `COMMAND_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  export function run(
    command: string,
    args?: readonly string[],
    timeout?: number,
    workdir?: string,
  ): string;
  export function run(command: string, options: RunOptions): string;

  /**
   * As `run`, but a failing command is a result and no error.
   *
   * @example
   * const { exit_code, stderr } = space.exec("grep", ["-r", "TODO", "src"]);
   *
   * @param command Program, or command line.
   * @param args Arguments, or all the options as one object.
   * @param timeout Seconds; 30 by default.
   * @param workdir Directory to run in.
   * @throws SpacesError `COMMAND_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  export function exec(
    command: string,
    args?: readonly string[],
    timeout?: number,
    workdir?: string,
  ): CommandResult;
  export function exec(command: string, options: RunOptions): CommandResult;

  /**
   * Runs a stored script in a space and gives its output.
   *
   * @example
   * const output = space.run_script("deploy", "production", "v1.2.3");
   *
   * @param script Name of the stored script.
   * @param args Arguments for the script; after them, options as an object: `timeout` in
   *   seconds and `input`.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SCRIPT_FAILED`, `SCRIPT_TIMEOUT`, `SCRIPT_MEMORY` (with
   *   the output so far in `details.output`), `SPACE_NOT_FOUND`
   */
  export function run_script(script: string, ...args: string[]): string;
  export function run_script(
    script: string,
    ...args: [...args: string[], options: RunScriptOptions]
  ): string;

  /**
   * Makes a port of one space reach a port of another: listens on the source's own loopback and
   * connects to the remote's own loopback. It survives restarts of either space and the end of the
   * script.
   *
   * @example
   * spaces.port_forward("web", 8080, "api", 3000);
   * console.log(spaces.run("web", "curl -s localhost:8080"));
   *
   * @param source Name or id of the space that listens.
   * @param local_port Port to listen on, 1 to 65535.
   * @param remote Name or id of the space to reach.
   * @param remote_port Port to reach there, 1 to 65535.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `PORT_IN_USE`, `UNSUPPORTED` on a
   *   driver without ports
   */
  export function port_forward(
    source: string,
    local_port: number,
    remote: string,
    remote_port: number,
  ): true;

  /**
   * The forwards that begin in a space.
   *
   * @example
   * for (const forward of spaces.port_list("web")) console.log(forward.local_port, forward.space);
   *
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function port_list(): PortForward[];

  /**
   * Ends a forward and its connections.
   *
   * @example
   * spaces.port_stop("web", 8080);
   *
   * @param local_port Its port.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FORWARD_NOT_FOUND`
   */
  export function port_stop(local_port: number): true;

  /** All of the module. */
  const space: Omit<typeof import("space"), "default" | "name" | "id"> & {
    readonly name: string;
    readonly id: string;
  };
  export default space;
}
