/** The client that programs start with: `new AgentSpaces()`. */
import type { BindingOptions } from "../bindings/binding.js";
import type { SystemInfo, Whoami } from "../contract/system.js";
import { type CallOptions, Connection } from "./connection.js";
import { Roles, Tokens, Users } from "./identity.js";
import { Runs } from "./runs.js";
import { Scripts } from "./scripts.js";
import { Spaces } from "./spaces.js";
import { Templates } from "./templates.js";

export interface AgentSpacesOptions extends BindingOptions {
  /** Milliseconds that each call may take which does not say its own; no limit when absent. */
  readonly timeoutMs?: number | undefined;
}

/**
 * A client of spaces, on this machine or on a server. What answers is opened at the first call;
 * `close`, or `await using`, lets go of it. Spaces and their processes live on.
 *
 * @example
 * ```ts
 * await using client = new AgentSpaces();
 * await using space = await client.spaces.create();
 * const { stdout } = await space.run("echo", { args: ["hello"] });
 * ```
 */
export class AgentSpaces implements AsyncDisposable {
  readonly spaces: Spaces;
  readonly templates: Templates;
  readonly scripts: Scripts;
  readonly runs: Runs;
  readonly users: Users;
  readonly roles: Roles;
  readonly tokens: Tokens;
  readonly system: System;
  readonly #connection: Connection;

  /** @param options what is absent comes from the environment and the configuration */
  constructor({ timeoutMs, ...options }: AgentSpacesOptions = {}) {
    this.#connection = new Connection(options, timeoutMs);
    this.spaces = new Spaces(this.#connection);
    this.templates = new Templates(this.#connection);
    this.scripts = new Scripts(this.#connection);
    this.runs = new Runs(this.#connection);
    this.users = new Users(this.#connection);
    this.roles = new Roles(this.#connection);
    this.tokens = new Tokens(this.#connection);
    this.system = new System(this.#connection);
  }

  /** Ends the calls that are under way, with `CANCELLED`, and lets go of what answered them. */
  async close(): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What answers, and who asks: `client.system`. */
class System {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** What answers, and which drivers it can use. */
  async info(options: CallOptions = {}): Promise<SystemInfo> {
    return await this.#connection.call((client, call) => client.system.info({}, call), options);
  }

  /** Who the caller is, and what it may do. */
  async whoami(options: CallOptions = {}): Promise<Whoami> {
    return await this.#connection.call((client, call) => client.system.whoami({}, call), options);
  }
}
