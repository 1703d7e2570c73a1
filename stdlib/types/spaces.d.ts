/** The module `spaces`: functions that wait for their result. */

declare module "spaces" {
  /** What `list()` and `get()` tell of a space. */
  export interface SpaceInfo {
    readonly name: string;
    /** Stays the same for the life of the space, such as `spc_…`. */
    readonly id: string;
    readonly is_running: boolean;
    readonly description: string;
    readonly status:
      | "creating"
      | "stopped"
      | "starting"
      | "running"
      | "stopping"
      | "error"
      | "destroyed";
    /** While running: `idle` or `busy`. */
    readonly activity?: "idle" | "busy";
    readonly template: string;
    readonly driver: string;
    readonly shell: string;
    readonly owner: string;
    readonly env: Readonly<Record<string, string>>;
    readonly metadata: Readonly<Record<string, string>>;
    /** Custom fields by name; secret ones are redacted. */
    readonly fields: Readonly<Record<string, string>>;
    /** Image that the space runs, where its driver has images. */
    readonly image?: string;
    /** Directory in which commands start. */
    readonly workdir?: string;
    /** Directory of the space's files on the host; local spaces only. */
    readonly workspace?: string;
    /** ISO 8601 times. */
    readonly created_at: string;
    /** When the space is deleted by itself. */
    readonly expires_at?: string;
    readonly updated_at: string;
    readonly started_at?: string;
    /** When a command last began or ended in the space. */
    readonly last_active_at?: string;
    /** Why the space is in the status `error`. */
    readonly last_error?: {
      readonly code: string;
      readonly message: string;
      readonly suggestion?: string;
      readonly at: string;
    };
  }

  /** What `exec()` gives. */
  export interface CommandResult {
    readonly exit_code: number;
    /** The signal that ended the command, such as `SIGKILL`. */
    readonly signal?: string;
    readonly stdout: string;
    readonly stderr: string;
    /** stdout and stderr as they came. */
    readonly output: string;
    /** Output was cut because it exceeded the limit. */
    readonly truncated: boolean;
    readonly timed_out: boolean;
    readonly duration_ms: number;
  }

  /** What `list_fields()` tells of a custom field. */
  export interface FieldInfo {
    readonly name: string;
    readonly description: string;
    /** Its value is redacted in lists, logs and output. */
    readonly secret: boolean;
    /** The value, its default, or an empty string. */
    readonly value: string;
    readonly is_set: boolean;
  }

  /** A port forward, as `port_list` gives it. */
  export interface PortForward {
    /** The port that listens. */
    readonly local_port: number;
    /** Name of the space that is reached. */
    readonly space: string;
    readonly remote_port: number;
  }

  export interface CreateOptions {
    description?: string;
    /** `bash`, `zsh`, `fish` or `sh`. */
    shell?: string;
    /** Environment of every command in the space. */
    env?: Readonly<Record<string, string>>;
    /** Values of the template's custom fields. */
    fields?: Readonly<Record<string, string>>;
    /** Labels of your own. */
    metadata?: Readonly<Record<string, string>>;
    /** Seconds until the space is deleted with all that is in it; by default it stays. */
    ttl?: number;
    /** Start the space as well; false by default. */
    start?: boolean;
  }

  export interface RunOptions {
    /**
     * Arguments, each passed as it is, without a shell. Without arguments the command is a line for
     * the space's shell.
     */
    args?: readonly string[];
    /** Seconds, fractions allowed; 30 by default. */
    timeout?: number;
    /** Directory to run in; the space's own by default. */
    workdir?: string;
    /** Added to the space's environment. */
    env?: Readonly<Record<string, string>>;
    /** Text for the command's standard input. */
    input?: string;
  }

  export interface ListOptions {
    /** Only spaces of this status, such as `running`. */
    status?: string;
    /** Only spaces made from this template. */
    template?: string;
    /** Only spaces with all of these labels. */
    metadata?: Readonly<Record<string, string>>;
    /** At most so many; all by default. */
    limit?: number;
  }

  export interface RunScriptOptions {
    /** Seconds, fractions allowed; 30 by default. */
    timeout?: number;
    /** A JSON value that the script finds as `input` of `runtime`; held against the inputs it declares. */
    input?: unknown;
  }

  export interface DeleteOptions {
    /** Stop the space first where it runs. */
    force?: boolean;
  }

  /** The error that the functions throw. `code` is stable; `suggestion` says what to do. */
  export interface SpacesError extends Error {
    readonly code: string;
    readonly status: number;
    readonly suggestion: string;
    readonly details: Readonly<Record<string, unknown>>;
  }

  /**
   * Starts a space and waits until it runs. Does nothing where it runs already.
   *
   * @example
   * spaces.start("dev");
   *
   * @param name Name or id of the space.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_START_FAILED`, `DRIVER_UNAVAILABLE`, `CONFLICT`
   */
  export function start(name: string): true;

  /**
   * Stops a space with everything in it, and waits until it has stopped. Does nothing where it is
   * stopped already.
   *
   * @example
   * spaces.stop("dev");
   *
   * @param name Name or id of the space.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `CONFLICT`
   */
  export function stop(name: string): true;

  /**
   * Stops a running space and starts it again.
   *
   * @example
   * spaces.restart("dev");
   *
   * @param name Name or id of the space.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `SPACE_START_FAILED`
   */
  export function restart(name: string): true;

  /**
   * Whether a space is running.
   *
   * @example
   * if (!spaces.is_running("dev")) spaces.start("dev");
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function is_running(name: string): boolean;

  /**
   * Your spaces, all of them unless options narrow them down.
   *
   * @example
   * for (const space of spaces.list({ status: "running" })) console.log(space.name);
   *
   * @param options `status`, `template`, `metadata`, `limit`.
   * @throws SpacesError `INVALID_INPUT`
   */
  export function list(options?: ListOptions): SpaceInfo[];

  /**
   * Creates a space. It is stopped until it is started, unless `start` is given.
   *
   * @example
   * const id = spaces.create("dev", "node", "My development space", "bash");
   * spaces.create("test", "node", { metadata: { team: "web" }, ttl: 3600, start: true });
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
  ): string;
  export function create(name: string, template: string, options: CreateOptions): string;

  /**
   * Puts off the time at which a space is deleted by itself.
   *
   * @example
   * spaces.extend("test", 3600);
   *
   * @param name Name or id of the space.
   * @param duration Seconds that are added to the time at which it expires.
   * @returns When it expires now.
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_EXPIRED`, `CONFLICT` for one that never expires
   */
  export function extend(name: string, duration: number): string;

  /**
   * Deletes a stopped space with all its files. Also exported as `delete`.
   *
   * @example
   * spaces.remove("dev", { force: true });
   *
   * @param name Name or id of the space.
   * @param options `force`: stop it first where it runs.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_RUNNING`
   */
  export function remove(name: string, options?: DeleteOptions): true;

  /**
   * Everything about one space.
   *
   * @example
   * console.log(spaces.get("dev").status);
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function get(name: string): SpaceInfo;

  /**
   * The value of a custom field: what was set, else its default, else an empty string.
   *
   * @example
   * const region = spaces.get_field("dev", "region");
   *
   * @param name Name or id of the space.
   * @param field Name of a field that the template defines.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`
   */
  export function get_field(name: string, field: string): string;

  /**
   * Sets the value of a custom field.
   *
   * @example
   * spaces.set_field("dev", "region", "eu");
   *
   * @param name Name or id of the space.
   * @param field Name of a field that the template defines.
   * @param value The new value; an empty string is one.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`, `INVALID_INPUT`
   */
  export function set_field(name: string, field: string, value: string): true;

  /**
   * The custom fields of a space with their values.
   *
   * @example
   * for (const field of spaces.list_fields("dev")) console.log(field.name, field.is_set);
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function list_fields(name: string): FieldInfo[];

  /**
   * The description of a space.
   *
   * @example
   * console.log(spaces.get_description("dev"));
   *
   * @param name Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function get_description(name: string): string;

  /**
   * Sets the description of a space.
   *
   * @example
   * spaces.set_description("dev", "Where the new parser is written");
   *
   * @param name Name or id of the space.
   * @param description Free text; may be empty.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `INVALID_INPUT`
   */
  export function set_description(name: string, description: string): true;

  /**
   * Runs a command in a running space and gives its output. With arguments the program is run
   * directly; without, the command is a line for the space's shell.
   *
   * @example
   * const version = spaces.run("dev", "node", ["--version"]);
   * spaces.run("dev", "npm ci && npm test", { timeout: 600, workdir: "/workspace/app" });
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
  ): string;
  export function run(space: string, command: string, options: RunOptions): string;

  /**
   * As `run`, but a failing command is a result and no error.
   *
   * @example
   * const { exit_code, stderr } = spaces.exec("dev", "grep", ["-r", "TODO", "src"]);
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
  ): CommandResult;
  export function exec(space: string, command: string, options: RunOptions): CommandResult;

  /**
   * Runs a stored script in a space and gives its output.
   *
   * @example
   * const output = spaces.run_script("dev", "deploy", "production", "v1.2.3");
   *
   * @param space Name or id of the space.
   * @param script Name of the stored script.
   * @param args Arguments for the script; after them, options as an object: `timeout` in
   *   seconds and `input`.
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SCRIPT_FAILED`, `SCRIPT_TIMEOUT`, `SCRIPT_MEMORY` (with
   *   the output so far in `details.output`), `SPACE_NOT_FOUND`
   */
  export function run_script(space: string, script: string, ...args: string[]): string;
  export function run_script(
    space: string,
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
   * @param space Name or id of the space.
   * @throws SpacesError `SPACE_NOT_FOUND`
   */
  export function port_list(space: string): PortForward[];

  /**
   * Ends a forward and its connections.
   *
   * @example
   * spaces.port_stop("web", 8080);
   *
   * @param space Name or id of the space that listens.
   * @param local_port Its port.
   * @returns true
   * @throws SpacesError `SPACE_NOT_FOUND`, `FORWARD_NOT_FOUND`
   */
  export function port_stop(space: string, local_port: number): true;

  export { remove as delete };

  /** All functions of the module; a misspelt one is an error that names the right one. */
  const spaces: Omit<typeof import("spaces"), "default">;
  export default spaces;
}
