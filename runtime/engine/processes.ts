/** Runs commands in spaces: through the driver's connection, bounded, with secrets taken out. */

import { posix } from "node:path";
import type { CommandResult } from "../contract/processes.js";
import type { SpawnRequest } from "../drivers/driver.js";
import { redactResult } from "../redaction.js";
import type { SpaceRow } from "../store/tables.js";
import type { Activity } from "./activity.js";
import { collect, type OutputListener } from "./collect.js";
import type { Connections } from "./connections.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import type { Fields } from "./fields.js";
import { notRunning } from "./lifecycle.js";
import { environmentOf, findSpace, specOf, WORKSPACE_MOUNT } from "./space-rows.js";

/** Bytes kept of each of a command's streams. */
const OUTPUT_BYTES = 1_048_576;

export interface CommandRequest {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly workdir?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly input?: string | undefined;
  /** Taken out of the output, beside the space's secret fields. */
  readonly secrets?: readonly string[] | undefined;
  /** Given the output as it comes, with its secrets. */
  readonly onOutput?: OutputListener | undefined;
}

export class Processes {
  readonly #parts: EngineParts;
  readonly #fields: Fields;
  readonly #activity: Activity;
  readonly #connections: Connections;

  constructor(parts: EngineParts, connections: Connections, fields: Fields, activity: Activity) {
    this.#parts = parts;
    this.#connections = connections;
    this.#fields = fields;
    this.#activity = activity;
  }

  /**
   * Runs a command in a running space and collects its output.
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `COMMAND_NOT_FOUND`,
   *   `INVALID_INPUT` (workdir), `CANCELLED`, or what the driver says
   */
  async run(
    context: CallContext,
    space: string,
    request: CommandRequest,
    { signal }: CallOptions,
  ): Promise<CommandResult> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    if (row.status !== "running") throw notRunning(row);
    await using _ = this.#activity.begin(row);
    const result = await this.#spawnAndCollect(row, request, signal);
    const secrets = [...(await this.#fields.secretsOf(row)), ...(request.secrets ?? [])];
    return redactResult(result, secrets);
  }

  async #spawnAndCollect(
    row: SpaceRow,
    request: CommandRequest,
    signal: AbortSignal | undefined,
  ): Promise<CommandResult> {
    const spawned: SpawnRequest = {
      ...programOf(row, request),
      input: request.input === undefined ? undefined : Buffer.from(request.input, "utf8"),
    };
    return await this.#connections.use(row, async (connection) =>
      collect(await connection.spawn(spawned), {
        timeoutMs: request.timeoutMs,
        outputBytes: OUTPUT_BYTES,
        onOutput: request.onOutput,
        signal,
      }),
    );
  }
}

/** What a request means in its space: the program, where it starts, and with which environment. */
export function programOf(
  row: SpaceRow,
  { command, args, workdir, env }: Pick<CommandRequest, "command" | "args" | "workdir" | "env">,
): Pick<SpawnRequest, "argv" | "workdir" | "env"> {
  return {
    argv: args === undefined ? [row.shell, "-c", command] : [command, ...args],
    workdir: absoluteWorkdir(row, workdir),
    env: { ...environmentOf(row), ...env },
  };
}

function absoluteWorkdir(row: SpaceRow, workdir: string | undefined): string {
  const base = specOf(row).workdir ?? WORKSPACE_MOUNT;
  return workdir === undefined || workdir === "" ? base : posix.resolve(base, workdir);
}
