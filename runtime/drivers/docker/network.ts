/**
 * The network of an installation's `internal` spaces: they reach each other on it, and nothing
 * else. Made when the first space needs it and removed with the last. Called by the driver.
 */
import { LABELS, shortInstallation } from "./container-spec.js";
import type { DockerEngine } from "./engine.js";
import { causeStatus, reasonOf } from "./errors.js";

/** The name of an installation's internal network. */
export function internalNetworkName(installationId: string): string {
  return `spaces-${shortInstallation(installationId)}-internal`;
}

/** Makes the internal network unless it is there. Any number of processes may do so at once. */
export async function ensureInternalNetwork(
  engine: DockerEngine,
  installationId: string,
): Promise<void> {
  const name = internalNetworkName(installationId);
  if ((await networkIds(engine, installationId)).length > 0) return;
  try {
    await engine.call(`make network "${name}"`, (docker, abortSignal) =>
      docker.createNetwork({
        Name: name,
        Driver: "bridge",
        Internal: true,
        CheckDuplicate: true,
        Labels: { [LABELS.installation]: installationId, [LABELS.network]: "internal" },
        Options: {
          // The daemon checks names without a lock, but takes an interface's name only once.
          "com.docker.network.bridge.name": `sp${shortInstallation(installationId)}`,
          // Without an address on the bridge the host's own services are out of reach as well.
          "com.docker.network.bridge.inhibit_ipv4": "true",
        },
        abortSignal,
      }),
    );
  } catch (error) {
    // Refused because another process was faster: then its network is there.
    if (causeStatus(error) === undefined) throw error;
    if ((await networkIds(engine, installationId)).length === 0) throw error;
  }
}

/** Removes the internal network unless a space of the installation, running or not, needs it. */
export async function removeUnusedNetwork(
  engine: DockerEngine,
  installationId: string,
): Promise<void> {
  const ids = await networkIds(engine, installationId);
  if (ids.length === 0) return;
  const users = await engine.call("list the spaces on a network", (docker, abortSignal) =>
    docker.listContainers({
      all: true,
      filters: {
        label: [`${LABELS.installation}=${installationId}`, `${LABELS.network}=internal`],
      },
      abortSignal,
    }),
  );
  if (users.length > 0) return;
  for (const id of ids) {
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
  spaceId: string,
): Promise<void> {
  const name = internalNetworkName(installationId);
  await ensureInternalNetwork(engine, installationId);
  const leaving = { Container: containerId, Force: true };
  await engine.call(`leave the former network "${name}"`, (docker) =>
    docker.getNetwork(name).disconnect(leaving),
  );
  await engine.call(`join network "${name}"`, (docker) =>
    docker.getNetwork(name).connect({
      Container: containerId,
      EndpointConfig: { Aliases: [spaceId] },
    }),
  );
}

async function networkIds(engine: DockerEngine, installationId: string): Promise<string[]> {
  const networks = await engine.call("list networks", (docker, abortSignal) =>
    docker.listNetworks({
      filters: { label: [`${LABELS.installation}=${installationId}`] },
      abortSignal,
    }),
  );
  return networks.map((network) => network.Id);
}
