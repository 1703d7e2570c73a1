/** The module `spaces/async`: the functions of `spaces`, each returning a promise. */
// Made from spaces.d.ts by tools/types.mjs; change that file, and run the tool.

declare module "spaces/async" {
  import type {
    CommandResult,
    CreateOptions,
    DeleteOptions,
    FieldInfo,
    ListOptions,
    PortForward,
    RunOptions,
    RunScriptOptions,
    SpaceInfo,
  } from "spaces";

  /**
   * Starts a space and waits until it runs. Does nothing where it runs already.
   *
   * @example
   * await spaces.start("dev");
   *
   * @param name Name or id of the space.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_START_FAILED`, `DRIVER_UNAVAILABLE`, `CONFLICT`
   */
  export function start(name: string): Promise<true>;

  /**
   * Stops a space with everything in it, and waits until it has stopped. Does nothing where it is
   * stopped already.
   *
   * @example
   * await spaces.stop("dev");
   *
   * @param name Name or id of the space.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `CONFLICT`
   */
  export function stop(name: string): Promise<true>;

  /**
   * Stops a running space and starts it again.
   *
   * @example
   * await spaces.restart("dev");
   *
   * @param name Name or id of the space.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `SPACE_START_FAILED`
   */
  export function restart(name: string): Promise<true>;

  /**
   * Whether a space is running.
   *
   * @example
   * if (!await spaces.is_running("dev")) await spaces.start("dev");
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function is_running(name: string): Promise<boolean>;

  /**
   * Your spaces, all of them unless options narrow them down.
   *
   * @example
   * for (const space of await spaces.list({ status: "running" })) console.log(space.name);
   *
   * @param options `status`, `template`, `metadata`, `limit`.
   * @throws SpacesError `INVALID_INPUT`
   */
  export function list(options?: ListOptions): Promise<SpaceInfo[]>;

  /**
   * Creates a space. It is stopped until it is started, unless `start` is given.
   *
   * @example
   * const id = await spaces.create("dev", "node", "My development space", "bash");
   * await spaces.create("test", "node", { metadata: { team: "web" }, ttl: 3600, start: true });
   *
   * @param name Lower-case letters, digits and hyphens; unique among your spaces.
   * @param template Name of the template to make it from.
   * @param description Free text, or all the options as one object.
   * @param shell `bash`, `zsh`, `fish` or `sh`.
   * @returns The id of the new space.
   * @throws SpacesError `SPACE_EXISTS`, `TEMPLATE_NOT_FOUND`, `FIELD_NOT_DEFINED`, `INVALID_INPUT`
   */
  export function create(
    name: string,
    template: string,
    description?: string,
    shell?: string,
  ): Promise<string>;
  export function create(name: string, template: string, options: CreateOptions): Promise<string>;

  /**
   * Puts off the time at which a space is deleted by itself.
   *
   * @example
   * await spaces.extend("test", 3600);
   *
   * @param name Name or id of the space.
   * @param duration Seconds that are added to the time at which it expires.
   * @returns When it expires now.
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_EXPIRED`, `CONFLICT` for one that never expires
   */
  export function extend(name: string, duration: number): Promise<string>;

  /**
   * Deletes a stopped space with all its files. Also exported as `delete`.
   *
   * @example
   * await spaces.remove("dev", { force: true });
   *
   * @param name Name or id of the space.
   * @param options `force`: stop it first where it runs.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_RUNNING`
   */
  export function remove(name: string, options?: DeleteOptions): Promise<true>;

  /**
   * Everything about one space.
   *
   * @example
   * console.log(await spaces.get("dev").status);
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function get(name: string): Promise<SpaceInfo>;

  /**
   * The value of a custom field: what was set, else its default, else an empty string.
   *
   * @example
   * const region = await spaces.get_field("dev", "region");
   *
   * @param name Name or id of the space.
   * @param field Name of a field that the template defines.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`
   */
  export function get_field(name: string, field: string): Promise<string>;

  /**
   * Sets the value of a custom field.
   *
   * @example
   * await spaces.set_field("dev", "region", "eu");
   *
   * @param name Name or id of the space.
   * @param field Name of a field that the template defines.
   * @param value The new value; an empty string is one.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`, `INVALID_INPUT`
   */
  export function set_field(name: string, field: string, value: string): Promise<true>;

  /**
   * The custom fields of a space with their values.
   *
   * @example
   * for (const field of await spaces.list_fields("dev")) console.log(field.name, field.is_set);
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function list_fields(name: string): Promise<FieldInfo[]>;

  /**
   * The description of a space.
   *
   * @example
   * console.log(await spaces.get_description("dev"));
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function get_description(name: string): Promise<string>;

  /**
   * Sets the description of a space.
   *
   * @example
   * await spaces.set_description("dev", "Where the new parser is written");
   *
   * @param name Name or id of the space.
   * @param description Free text; may be empty.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function set_description(name: string, description: string): Promise<true>;

  /**
   * Runs a command in a running space and gives its output. With arguments the program is run
   * directly; without, the command is a line for the space's shell.
   *
   * @example
   * const version = await spaces.run("dev", "node", ["--version"]);
   * await spaces.run("dev", "npm ci && npm test", { timeout: 600, workdir: "/workspace/app" });
   *
   * @param space Name or id of the space.
   * @param command Program, or command line.
   * @param args Arguments, or all the options as one object.
   * @param timeout Seconds; 30 by default.
   * @param workdir Directory to run in.
   * @returns stdout and stderr as they came.
   * @throws SpacesError `COMMAND_FAILED` and `COMMAND_TIMEOUT` (with exit code and output in
   *   `details`), `COMMAND_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  export function run(
    space: string,
    command: string,
    args?: readonly string[],
    timeout?: number,
    workdir?: string,
  ): Promise<string>;
  export function run(space: string, command: string, options: RunOptions): Promise<string>;

  /**
   * As `run`, but a failing command is a result and no error.
   *
   * @example
   * const { exit_code, stderr } = await spaces.exec("dev", "grep", ["-r", "TODO", "src"]);
   *
   * @param space Name or id of the space.
   * @param command Program, or command line.
   * @param args Arguments, or all the options as one object.
   * @param timeout Seconds; 30 by default.
   * @param workdir Directory to run in.
   * @throws SpacesError `COMMAND_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  export function exec(
    space: string,
    command: string,
    args?: readonly string[],
    timeout?: number,
    workdir?: string,
  ): Promise<CommandResult>;
  export function exec(space: string, command: string, options: RunOptions): Promise<CommandResult>;

  /**
   * Runs a stored script in a space and gives its output.
   *
   * @example
   * const output = await spaces.run_script("dev", "deploy", "production", "v1.2.3");
   *
   * @param space Name or id of the space.
   * @param script Name of the stored script.
   * @param args Arguments for the script; after them, options as an object: `timeout` in
   *   seconds and `input`.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SCRIPT_FAILED`, `SCRIPT_TIMEOUT`, `SCRIPT_MEMORY` (with
   *   the output so far in `details.output`), `SPACE_NOT_FOUND`
   */
  export function run_script(space: string, script: string, ...args: string[]): Promise<string>;
  export function run_script(
    space: string,
    script: string,
    ...args: [...args: string[], options: RunScriptOptions]
  ): Promise<string>;

  /**
   * Makes a port of one space reach a port of another: listens on the source's own loopback and
   * connects to the remote's own loopback. It survives restarts of either space and the end of the
   * script.
   *
   * @example
   * await spaces.port_forward("web", 8080, "api", 3000);
   * console.log(await spaces.run("web", "curl -s localhost:8080"));
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
  ): Promise<true>;

  /**
   * The forwards that begin in a space.
   *
   * @example
   * for (const forward of await spaces.port_list("web")) console.log(forward.local_port, forward.space);
   *
   * @param space Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function port_list(space: string): Promise<PortForward[]>;

  /**
   * Ends a forward and its connections.
   *
   * @example
   * await spaces.port_stop("web", 8080);
   *
   * @param space Name or id of the space that listens.
   * @param local_port Its port.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FORWARD_NOT_FOUND`
   */
  export function port_stop(space: string, local_port: number): Promise<true>;

  export { remove as delete };

  /** All of the module; a misspelt function is an error that names the right one. */
  const spaces: Omit<typeof import("spaces/async"), "default">;
  export default spaces;
}
