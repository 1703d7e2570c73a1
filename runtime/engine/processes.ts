/** Runs commands in spaces: through the driver's connection, bounded, with secrets taken out. */

import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { CommandResult } from "../contract/processes.js";
import type { GuestConnection, SpawnRequest } from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import { collect } from "./collect.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import type { Fields } from "./fields.js";
import { notRunning } from "./lifecycle.js";
import { PROCESS_IDENTITY } from "./process-identity.js";
import type { Recovery } from "./recovery.js";
import {
  driverSpecOf,
  environmentOf,
  findSpace,
  REDACTED,
  specOf,
  WORKSPACE_MOUNT,
} from "./space-rows.js";

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

export class Processes implements AsyncDisposable {
  readonly #parts: EngineParts;
  readonly #recovery: Recovery;
  readonly #fields: Fields;
  /** Ways into spaces, kept by the start that they belong to. */
  readonly #connections = new Map<
    string,
    { startedAt: string | null; connection: Promise<GuestConnection> }
  >();

  constructor(parts: EngineParts, recovery: Recovery, fields: Fields) {
    this.#parts = parts;
    this.#recovery = recovery;
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
    await using _ = await this.#markBusy(row);
    const result = await this.#spawnAndCollect(row, request, signal);
    return redact(result, await this.#fields.secretsOf(row));
  }

  async #spawnAndCollect(
    row: SpaceRow,
    request: CommandRequest,
    signal: AbortSignal | undefined,
  ): Promise<CommandResult> {
    const spawned: SpawnRequest = {
      argv:
        request.args === undefined
          ? [row.shell, "-c", request.command]
          : [request.command, ...request.args],
      workdir: absoluteWorkdir(row, request.workdir),
      env: { ...environmentOf(row), ...request.env },
      input: request.input === undefined ? undefined : Buffer.from(request.input, "utf8"),
    };
    try {
      const connection = await this.#connect(row);
      const guest = await connection.spawn(spawned);
      return await collect(guest, {
        timeoutMs: request.timeoutMs,
        outputBytes: OUTPUT_BYTES,
        signal,
      });
    } catch (error) {
      // A space that ended while it was used is noticed here first.
      if (SpacesError.isInstance(error) && error.code === "SPACE_NOT_RUNNING") {
        await this.#recovery.hasVanished(row);
      }
      throw error;
    }
  }

  async #connect(row: SpaceRow): Promise<GuestConnection> {
    const known = this.#connections.get(row.id);
    if (known !== undefined && known.startedAt === row.started_at) return await known.connection;
    const driver = await this.#parts.drivers.get(row.driver);
    const connection = driver.connect(driverSpecOf(this.#parts.dataDir, row));
    this.#connections.set(row.id, { startedAt: row.started_at, connection });
    if (known !== undefined) await close(known.connection);
    try {
      return await connection;
    } catch (error) {
      this.#connections.delete(row.id);
      throw error;
    }
  }

  /** Shows the space as busy, to every process, until disposed. */
  async #markBusy(row: SpaceRow): Promise<AsyncDisposable> {
    const { store } = this.#parts;
    const id = randomUUID();
    const now = new Date().toISOString();
    await store
      .insertInto("processes")
      .values({ id, space_id: row.id, holder: PROCESS_IDENTITY, started_at: now })
      .execute();
    return {
      async [Symbol.asyncDispose]() {
        await store.deleteFrom("processes").where("id", "=", id).execute();
        await store
          .updateTable("spaces")
          .set({ last_active_at: new Date().toISOString() })
          .where("id", "=", row.id)
          .execute();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#connections.values()];
    this.#connections.clear();
    await Promise.all(open.map(({ connection }) => close(connection)));
  }
}

async function close(connection: Promise<GuestConnection>): Promise<void> {
  const [opened] = await Promise.allSettled([connection]);
  // One that could not be opened has been reported to the call that wanted it.
  if (opened.status === "fulfilled") await opened.value[Symbol.asyncDispose]();
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
