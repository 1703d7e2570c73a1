/**
 * Port forwards between spaces, and from the host to a space. They are kept in the store; a relay,
 * a small process beside the engine, makes them real and outlives it.
 */

import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/new-id.js";
import type { Actor } from "../contract/permissions.js";
import type { Forward } from "../contract/ports.js";
import type { GuestEndpoint, HostEndpoint, RelayClient } from "../relay/relay-client.js";
import { isDuplicate } from "../store/errors.js";
import type { ForwardRow, SpaceRow } from "../store/tables.js";
import type { CallContext, EngineParts } from "./context.js";
import { notRunning } from "./lifecycle.js";
import { rowOf } from "./operations.js";
import { driverSpecOf, findSpace } from "./space-rows.js";

interface ForwardRequest {
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
}

const HOST_ADDRESS = "127.0.0.1";

export class Forwards {
  readonly #parts: EngineParts;
  readonly #relay: () => Promise<RelayClient>;

  /** @param relay gives the client of the relay; called when the first forward needs it */
  constructor(parts: EngineParts, relay: () => Promise<RelayClient>) {
    this.#parts = parts;
    this.#relay = relay;
  }

  /**
   * Listens on a port of a space's loopback and reaches a port of another space's loopback.
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`, `PORT_IN_USE`, `UNSUPPORTED`
   */
  async forward(context: CallContext, space: string, request: ForwardRequest): Promise<Forward> {
    const source = await this.#running(context.actor, space);
    const remote = await this.#running(context.actor, request.remote);
    if (source.driver !== remote.driver) {
      throw new SpacesError(
        "UNSUPPORTED",
        `"${source.name}" is on the driver ${source.driver} and "${remote.name}" on ${remote.driver}: ports are forwarded between spaces of one driver.`,
      );
    }
    return await this.#add(source, request.localPort, remote, request.remotePort);
  }

  /** Listens on 127.0.0.1 of the host and reaches a port of a space's loopback. */
  async open(
    context: CallContext,
    space: string,
    { port, hostPort }: { readonly port: number; readonly hostPort: number },
  ): Promise<Forward> {
    return await this.#add(undefined, hostPort, await this.#running(context.actor, space), port);
  }

  /** The forwards that begin in a space, and those of the host that lead to it. */
  async list(context: CallContext, space: string): Promise<Forward[]> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    const rows = await this.#parts.store
      .selectFrom("forwards")
      .selectAll()
      .where((where) =>
        where.or([
          where("source_id", "=", row.id),
          where.and([where("source_id", "is", null), where("remote_id", "=", row.id)]),
        ]),
      )
      .orderBy("local_port")
      .execute();
    return await Promise.all(rows.map((forward) => this.#show(forward)));
  }

  /**
   * Ends the forward that begins at a port of a space; with `host`, the one of the host that leads to
   * the space.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FORWARD_NOT_FOUND`
   */
  async stop(context: CallContext, space: string, localPort: number, host: boolean): Promise<void> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    const query = this.#parts.store.deleteFrom("forwards").where("local_port", "=", localPort);
    const stopped = await (host
      ? query.where("source_id", "is", null).where("remote_id", "=", row.id)
      : query.where("source_id", "=", row.id)
    )
      .returning("id")
      .executeTakeFirst();
    if (stopped === undefined) {
      throw new SpacesError(
        "FORWARD_NOT_FOUND",
        host
          ? `No port ${localPort} of the host leads to "${row.name}".`
          : `No forward begins at port ${localPort} of "${row.name}".`,
      );
    }
    await (await this.#relay()).close(stopped.id);
  }

  /**
   * Makes the forwards of a space that has just started real again.
   * @returns what could not be, for people to read
   */
  async reopen(row: SpaceRow): Promise<string[]> {
    const problems: string[] = [];
    for (const forward of await this.#touching(row)) {
      try {
        const source = await this.#spaceOf(forward.source_id);
        const remote = await this.#spaceOf(forward.remote_id);
        const waits = source?.status !== "running" && forward.source_id !== null;
        if (waits || remote?.status !== "running") continue;
        await this.#establish(forward, source, remote);
      } catch (error) {
        problems.push(`port ${forward.local_port}: ${(error as Error).message}`);
      }
    }
    return problems;
  }

  /** Ends the connections of a space that stops or goes; the forwards wait for its next start. */
  async suspend(row: SpaceRow): Promise<void> {
    const forwards = await this.#touching(row);
    if (forwards.length === 0) return;
    const relay = await this.#relay();
    for (const { id } of forwards) await relay.close(id);
  }

  async #running(actor: Actor, space: string): Promise<SpaceRow> {
    const row = await findSpace(this.#parts.store, actor, space);
    if (row.status !== "running") throw notRunning(row);
    return row;
  }

  async #add(
    source: SpaceRow | undefined,
    localPort: number,
    remote: SpaceRow,
    remotePort: number,
  ): Promise<Forward> {
    const forward: ForwardRow = {
      id: newId("fwd"),
      source_id: source?.id ?? null,
      local_port: localPort,
      remote_id: remote.id,
      remote_port: remotePort,
      created_at: new Date().toISOString(),
    };
    // Asked for first, so that nothing is stored of what the driver cannot do.
    await this.#endpoint(remote, remotePort);
    try {
      await this.#parts.store.insertInto("forwards").values(forward).execute();
    } catch (cause) {
      if (!isDuplicate(cause)) throw cause;
      const where = source === undefined ? "the host" : `"${source.name}"`;
      throw new SpacesError("PORT_IN_USE", `Port ${localPort} of ${where} is forwarded already.`, {
        cause,
        suggestion: "Stop that forward first, or choose another port.",
      });
    }
    try {
      await this.#establish(forward, source, remote);
    } catch (error) {
      await this.#parts.store.deleteFrom("forwards").where("id", "=", forward.id).execute();
      throw error;
    }
    return await this.#show(forward);
  }

  async #establish(
    forward: ForwardRow,
    source: SpaceRow | undefined,
    remote: SpaceRow,
  ): Promise<void> {
    const listener: GuestEndpoint | HostEndpoint =
      source === undefined
        ? { kind: "host", address: HOST_ADDRESS, port: forward.local_port }
        : await this.#endpoint(source, forward.local_port);
    const target = await this.#endpoint(remote, forward.remote_port);
    await (await this.#relay()).open({ id: forward.id, source: listener, remote: target });
  }

  /** @throws SpacesError `UNSUPPORTED` for a space without an agent */
  async #endpoint(row: SpaceRow, port: number): Promise<GuestEndpoint> {
    const driver = await this.#parts.drivers.get(row.driver);
    const endpoint = await driver.endpoint(driverSpecOf(this.#parts.dataDir, row));
    if (endpoint !== undefined) {
      const { socket, token } = endpoint;
      return { kind: "guest", socket, token: Buffer.from(token, "hex"), port };
    }
    throw new SpacesError(
      "UNSUPPORTED",
      `Ports of "${row.name}", on the driver ${row.driver}, cannot be forwarded.`,
    );
  }

  #touching(row: SpaceRow): Promise<ForwardRow[]> {
    return this.#parts.store
      .selectFrom("forwards")
      .selectAll()
      .where((where) =>
        where.or([where("source_id", "=", row.id), where("remote_id", "=", row.id)]),
      )
      .execute();
  }

  async #spaceOf(id: string | null): Promise<SpaceRow | undefined> {
    return id === null ? undefined : await rowOf(this.#parts.store, id);
  }

  async #show(forward: ForwardRow): Promise<Forward> {
    const source = await this.#spaceOf(forward.source_id);
    const remote = await this.#spaceOf(forward.remote_id);
    const active =
      remote?.status === "running" && (forward.source_id === null || source?.status === "running");
    return {
      ...(source === undefined ? {} : { source: { id: source.id, name: source.name } }),
      localPort: forward.local_port,
      remote: { id: forward.remote_id, name: remote?.name ?? "" },
      remotePort: forward.remote_port,
      state: active ? "active" : "waiting",
      createdAt: forward.created_at,
    };
  }
}
