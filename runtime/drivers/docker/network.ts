/**
 * The network of an owner's `internal` spaces: they reach each other on it, and nothing else. Made
 * when the first space needs it and removed with the last. Called by the driver.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SpaceSpec } from "../driver.js";
import { LABELS, shortInstallation, shortOwner } from "./container-spec.js";
import type { DockerEngine } from "./engine.js";
import { causeStatus, reasonOf } from "./errors.js";

/** How long the daemon may take to list a network that another process is making. */
const LISTED_WITHIN_MS = 10_000;

/** The name of an owner's internal network. */
export function internalNetworkName(installationId: string, owner: string): string {
  return `spaces-${shortInstallation(installationId)}-${shortOwner(installationId, owner)}`;
}

/** Makes the owner's internal network unless it is there. Any number of processes may do so at once. */
export async function ensureInternalNetwork(
  engine: DockerEngine,
  installationId: string,
  owner: string,
): Promise<void> {
  const name = internalNetworkName(installationId, owner);
  const tag = shortOwner(installationId, owner);
  const isThere = async (): Promise<boolean> =>
    (await networksOf(engine, installationId)).some((network) => network.owner === tag);
  if (await isThere()) return;
  try {
    await engine.call(`make network "${name}"`, (docker, abortSignal) =>
      docker.createNetwork({
        Name: name,
        Driver: "bridge",
        Internal: true,
        CheckDuplicate: true,
        Labels: {
          [LABELS.installation]: installationId,
          [LABELS.network]: "internal",
          [LABELS.owner]: tag,
        },
        Options: {
          // The daemon checks names without a lock, but takes an interface's name only once.
          "com.docker.network.bridge.name": `sp${tag}`,
          // Without an address on the bridge the host's own services are out of reach as well.
          "com.docker.network.bridge.inhibit_ipv4": "true",
        },
        abortSignal,
      }),
    );
  } catch (error) {
    // Refused because another process was faster: its network is there, or will be in a moment, for
    // the daemon takes the interface's name before it lists the network.
    if (causeStatus(error) === undefined) throw error;
    const giveUpAt = Date.now() + (/conflict/i.test(reasonOf(error)) ? LISTED_WITHIN_MS : 0);
    while (!(await isThere())) {
      if (Date.now() >= giveUpAt) throw error;
      await delay(20);
    }
  }
}

/** Removes the internal networks that no space of the installation, running or not, needs. */
export async function removeUnusedNetworks(
  engine: DockerEngine,
  installationId: string,
): Promise<void> {
  const networks = await networksOf(engine, installationId);
  if (networks.length === 0) return;
  const users = await engine.call("list the spaces on a network", (docker, abortSignal) =>
    docker.listContainers({
      all: true,
      filters: {
        label: [`${LABELS.installation}=${installationId}`, `${LABELS.network}=internal`],
      },
      abortSignal,
    }),
  );
  const used = new Set(users.map(({ Labels }) => Labels[LABELS.owner]));
  for (const { id } of networks.filter(({ owner }) => !used.has(owner))) {
    try {
      await engine.call("remove an unused network", (docker, abortSignal) =>
        docker.getNetwork(id).remove({ abortSignal }),
      );
    } catch (error) {
      // Gone already, or a space has just come that needs it.
      if (causeStatus(error) === 404 || /active endpoints/i.test(reasonOf(error))) continue;
      throw error;
    }
  }
}

/**
 * Connects a stopped container to the internal network anew. Docker remembers networks by id, and
 * a `docker network prune` while all spaces are stopped takes the network away.
 */
export async function reconnect(
  engine: DockerEngine,
  installationId: string,
  containerId: string,
  space: SpaceSpec,
): Promise<void> {
  const name = internalNetworkName(installationId, space.owner);
  await ensureInternalNetwork(engine, installationId, space.owner);
  const leaving = { Container: containerId, Force: true };
  await engine.call(`leave the former network "${name}"`, (docker) =>
    docker.getNetwork(name).disconnect(leaving),
  );
  await engine.call(`join network "${name}"`, (docker) =>
    docker.getNetwork(name).connect({
      Container: containerId,
      EndpointConfig: { Aliases: [space.id] },
    }),
  );
}

interface OwnedNetwork {
  readonly id: string;
  readonly owner: string | undefined;
}

async function networksOf(engine: DockerEngine, installationId: string): Promise<OwnedNetwork[]> {
  const networks = await engine.call("list networks", (docker, abortSignal) =>
    docker.listNetworks({
      filters: { label: [`${LABELS.installation}=${installationId}`] },
      abortSignal,
    }),
  );
  return networks.map(({ Id, Labels }) => ({ id: Id, owner: Labels?.[LABELS.owner] }));
}
