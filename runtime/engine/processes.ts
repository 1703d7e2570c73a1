/** Runs commands in spaces: through the driver's connection, bounded, with secrets taken out. */

import { posix } from "node:path";
import type { CommandResult } from "../contract/processes.js";
import type { SpawnRequest } from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import { markBusy } from "./activity.js";
import { collect } from "./collect.js";
import type { Connections } from "./connections.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import type { Fields } from "./fields.js";
import { notRunning } from "./lifecycle.js";
import { environmentOf, findSpace, REDACTED, specOf, WORKSPACE_MOUNT } from "./space-rows.js";

/** Bytes kept of each of a command's streams. */
const OUTPUT_BYTES = 1_048_576;
/** Shorter values would take harmless text out of every output. */
const SHORTEST_REDACTED = 4;

export interface CommandRequest {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly workdir?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly input?: string | undefined;
}

export class Processes {
  readonly #parts: EngineParts;
  readonly #fields: Fields;
  readonly #connections: Connections;

  constructor(parts: EngineParts, connections: Connections, fields: Fields) {
    this.#parts = parts;
    this.#connections = connections;
    this.#fields = fields;
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
    await using _ = await markBusy(this.#parts.store, row);
    const result = await this.#spawnAndCollect(row, request, signal);
    return redact(result, await this.#fields.secretsOf(row));
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

function redact(result: CommandResult, secrets: readonly string[]): CommandResult {
  const hidden = secrets.filter((secret) => secret.length >= SHORTEST_REDACTED);
  if (hidden.length === 0) return result;
  const clean = (text: string): string =>
    hidden.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
  return {
    ...result,
    stdout: clean(result.stdout),
    stderr: clean(result.stderr),
    output: clean(result.output),
  };
}
