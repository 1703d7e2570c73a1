/** The life of a space: start, stop, restart, delete. Every change is one claimed operation. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { Driver, GuestConnection } from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import { collect } from "./collect.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import type { Forwards } from "./forwards.js";
import { asSpacesError, Operation, pause, rowOf, settled } from "./operations.js";
import type { Recovery } from "./recovery.js";
import {
  driverSpecOf,
  environmentOf,
  findEvenExpired,
  findSpace,
  spaceDirectory,
  specOf,
  statusOf,
} from "./space-rows.js";

/** Bounds on one `setup` or `startup` command of a template. */
const TEMPLATE_COMMAND = { timeoutMs: 600_000, outputBytes: 65_536 };

export class Lifecycle {
  readonly #parts: EngineParts;
  readonly #recovery: Recovery;
  readonly #forwards: Forwards;

  constructor(parts: EngineParts, recovery: Recovery, forwards: Forwards) {
    this.#parts = parts;
    this.#recovery = recovery;
    this.#forwards = forwards;
  }

  /**
   * Makes a running space of a stopped one and waits until it runs; a running one stays as it is.
   * @throws SpacesError `SPACE_NOT_FOUND`; what the driver says, which is then also `lastError`
   */
  async start(context: CallContext, ref: string, { signal }: CallOptions): Promise<SpaceRow> {
    let waited = false;
    for (let row = await this.#find(context, ref); ; row = await this.#again(row)) {
      const status = statusOf(row);
      if (status === "running") {
        if (!(await this.#recovery.hasVanished(row))) return row;
      } else if (status === "stopped" || (status === "error" && !waited)) {
        const operation = await Operation.claim(this.#parts.store, row, "starting");
        if (operation !== undefined) return await this.#performStart(operation, signal);
      } else if (status === "error") {
        // Another process tried while this one waited: its result is this call's result.
        throw lastErrorOf(row);
      } else {
        waited = status === "starting";
        await this.#settle(row, signal);
      }
    }
  }

  /** Makes a stopped space of a running one; a stopped one stays as it is. */
  async stop(context: CallContext, ref: string, { signal }: CallOptions): Promise<SpaceRow> {
    for (let row = await this.#find(context, ref); ; row = await this.#again(row)) {
      const status = statusOf(row);
      if (status === "stopped") return row;
      if (status === "running" || status === "error") {
        const operation = await Operation.claim(this.#parts.store, row, "stopping");
        if (operation !== undefined) return await this.#performStop(operation);
      } else {
        await this.#settle(row, signal);
      }
    }
  }

  /** Stops and starts a running space. */
  async restart(context: CallContext, ref: string, options: CallOptions): Promise<SpaceRow> {
    const row = await this.#find(context, ref);
    if (statusOf(row) !== "running" || (await this.#recovery.hasVanished(row))) {
      throw notRunning(row);
    }
    await this.stop(context, row.id, options);
    return await this.start(context, row.id, options);
  }

  /** Deletes a stopped space with all that it has; `force` stops a running one first. */
  async delete(
    context: CallContext,
    ref: string,
    force: boolean,
    { signal }: CallOptions,
  ): Promise<void> {
    const { store } = this.#parts;
    const found = await findEvenExpired(store, context.actor, ref);
    for (let row = found; ; row = await this.#again(row)) {
      const status = statusOf(row);
      if (status === "running" && !force) {
        if (!(await this.#recovery.hasVanished(row))) {
          throw new SpacesError("SPACE_RUNNING", `The space "${row.name}" is running.`);
        }
      } else if (status === "running" || status === "stopped" || status === "error") {
        if (await this.destroy(row)) return;
      } else {
        await this.#settle(row, signal);
      }
    }
  }

  /**
   * Deletes a space as it was last seen, whatever its state.
   * @returns false when another process has changed it since
   * @throws SpacesError what the driver says, which is then also `lastError`
   */
  async destroy(row: SpaceRow): Promise<boolean> {
    const operation = await Operation.claim(this.#parts.store, row, "destroyed");
    if (operation === undefined) return false;
    await this.#performDelete(operation);
    return true;
  }

  /** Removes what is left of a space that counts as destroyed. Repeatable after a crash. */
  async remove(row: SpaceRow): Promise<void> {
    await this.#forwards.suspend(row);
    const driver = await this.#parts.drivers.get(row.driver);
    const directory = spaceDirectory(this.#parts.dataDir, row.id);
    await driver.stop(driverSpecOf(this.#parts.dataDir, row));
    await removeDirectory(directory, () =>
      driver.emptyWorkspace(driverSpecOf(this.#parts.dataDir, row)),
    );
    await driver.destroy(row.id);
    await this.#parts.store.deleteFrom("spaces").where("id", "=", row.id).execute();
  }

  async #performDelete(operation: Operation): Promise<void> {
    using _ = operation;
    try {
      await this.remove(operation.row);
    } catch (cause) {
      const error = asSpacesError(cause, "DRIVER_FAILED");
      await operation.finish({ status: "error", lastError: error });
      throw error;
    }
  }

  async #performStart(operation: Operation, signal: AbortSignal | undefined): Promise<SpaceRow> {
    using _ = operation;
    const { row } = operation;
    let driver: Driver | undefined;
    try {
      driver = await this.#parts.drivers.get(row.driver);
      const spec = driverSpecOf(this.#parts.dataDir, row);
      await mkdir(spec.workspace, { recursive: true });
      await mkdir(spec.stateDir, { recursive: true, mode: 0o700 });
      await driver.start(spec, { signal, onProgress: this.#parts.onProgress });
      await this.#runTemplateCommands(driver, row, signal);
      signal?.throwIfAborted();
      const access = (await driver.inspect(row.id))?.access;
      await operation.finish({ status: "running", setupDone: true, started: true, access });
    } catch (cause) {
      const cancelled = signal?.aborted === true;
      const error = cancelled
        ? new SpacesError("CANCELLED", `The start of "${row.name}" was cancelled.`, { cause })
        : asSpacesError(cause, "SPACE_START_FAILED");
      await this.#halt(driver, row, error);
      await operation.finish(
        cancelled ? { status: "stopped" } : { status: "error", lastError: error },
      );
      throw error;
    }
    const started = await this.#again(row);
    for (const problem of await this.#forwards.reopen(started)) this.#parts.onProgress?.(problem);
    return started;
  }

  /** Stops what a failed start left running; a failure of that is added to the error's details. */
  async #halt(driver: Driver | undefined, row: SpaceRow, error: SpacesError): Promise<void> {
    try {
      await driver?.stop(driverSpecOf(this.#parts.dataDir, row));
    } catch (halting) {
      const { message } = asSpacesError(halting, "DRIVER_FAILED");
      Object.assign(error.details, { cleanup: message });
    }
  }

  async #performStop(operation: Operation): Promise<SpaceRow> {
    using _ = operation;
    const { row } = operation;
    try {
      await this.#forwards.suspend(row);
      const driver = await this.#parts.drivers.get(row.driver);
      await driver.stop(driverSpecOf(this.#parts.dataDir, row));
      await operation.finish({ status: "stopped" });
    } catch (cause) {
      const error = asSpacesError(cause, "DRIVER_FAILED");
      await operation.finish({ status: "error", lastError: error });
      throw error;
    }
    return await this.#again(row);
  }

  /** Runs the template's `setup` (at the first start only) and `startup` commands, in order. */
  async #runTemplateCommands(
    driver: Driver,
    row: SpaceRow,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { setup, startup } = specOf(row);
    const commands = [
      ...(row.setup_done === 1 ? [] : setup.map((line) => ({ kind: "setup", line }))),
      ...startup.map((line) => ({ kind: "startup", line })),
    ];
    if (commands.length === 0) return;
    await using connection: GuestConnection = await driver.connect(
      driverSpecOf(this.#parts.dataDir, row),
    );
    for (const { kind, line } of commands) {
      this.#parts.onProgress?.(`${kind}: ${line.split("\n", 1)[0] ?? ""}`);
      const guest = await connection.spawn({
        argv: [row.shell, "-c", line],
        env: environmentOf(row),
      });
      const result = await collect(guest, { ...TEMPLATE_COMMAND, signal });
      if (result.exitCode === 0 && !result.timedOut) continue;
      const how = result.timedOut ? "did not end in time" : `ended with code ${result.exitCode}`;
      throw new SpacesError("SPACE_START_FAILED", `A ${kind} command ${how}: ${line}`, {
        suggestion: "Mend the command in the template; its output is in the error's details.",
        details: { command: line, exit_code: result.exitCode, output: result.output },
      });
    }
  }

  #find(context: CallContext, ref: string): Promise<SpaceRow> {
    return findSpace(this.#parts.store, context.actor, ref);
  }

  async #again(row: SpaceRow): Promise<SpaceRow> {
    const fresh = await rowOf(this.#parts.store, row.id);
    if (fresh === undefined || fresh.status === "destroyed") {
      throw new SpacesError("SPACE_NOT_FOUND", `The space "${row.name}" was deleted meanwhile.`);
    }
    return fresh;
  }

  /** Waits for another process's operation; takes it over where that process died. */
  async #settle(row: SpaceRow, signal: AbortSignal | undefined): Promise<void> {
    const fresh = await settled(this.#parts.store, row.id, signal);
    if (fresh !== undefined && fresh.operation !== null) await this.#recovery.takeOver(fresh);
  }

  /** The directories that hold a space's files and the driver's own, made when it is created. */
  async makeDirectories(row: SpaceRow): Promise<void> {
    const directory = spaceDirectory(this.#parts.dataDir, row.id);
    await mkdir(join(directory, "workspace"), { recursive: true });
    await mkdir(join(directory, "state"), { recursive: true, mode: 0o700 });
  }

  /**
   * Waits until a space has a status.
   * @param timeoutMs how long at most, in milliseconds
   * @throws SpacesError `CONFLICT` when it has another status at the end of that time
   */
  async wait(
    context: CallContext,
    { space, status, timeoutMs }: { space: string; status: string; timeoutMs: number },
    { signal }: CallOptions,
  ): Promise<SpaceRow> {
    const giveUpAt = Date.now() + timeoutMs;
    const { id } = await this.#find(context, space);
    for (;;) {
      const row = await this.#find(context, id);
      if (row.status === status) return row;
      if (Date.now() >= giveUpAt) {
        throw new SpacesError(
          "CONFLICT",
          `The space "${row.name}" is ${row.status}, not ${status}, after ${timeoutMs} ms.`,
          { suggestion: "Wait longer, or read `lastError` with `spaces show`." },
        );
      }
      await pause(Math.min(50, giveUpAt - Date.now()), signal);
    }
  }
}

/** What Node says of files that it may not or cannot reach. */
const OUT_OF_REACH = new Set(["EACCES", "EPERM", "ENAMETOOLONG", "ENOTEMPTY"]);

/** Removes a directory; what is out of reach in it is first removed by other means. */
async function removeDirectory(directory: string, otherwise: () => Promise<void>): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    if (!OUT_OF_REACH.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await otherwise();
    await rm(directory, { recursive: true, force: true });
  }
}

export function notRunning(row: SpaceRow): SpacesError {
  return new SpacesError("SPACE_NOT_RUNNING", `The space "${row.name}" is ${row.status}.`);
}

function lastErrorOf(row: SpaceRow): SpacesError {
  if (row.last_error === null) return new SpacesError("SPACE_START_FAILED");
  return SpacesError.deserialize(JSON.parse(row.last_error));
}
