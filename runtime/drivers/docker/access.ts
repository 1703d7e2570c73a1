/**
 * How commands get into a container: through the guest agent, or by `docker exec` where the agent
 * cannot run. Decided when the container is made, and written on it. Called by the driver.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { artifactUrl } from "../../artifacts.js";
import type { DriverSpaceState } from "../driver.js";
import { LABELS } from "./container-spec.js";
import type { DockerEngine } from "./engine.js";

export type Access = NonNullable<DriverSpaceState["access"]>;

/** The agents that are built, by the names that kernels give to architectures. */
const AGENTS: Readonly<Record<string, string>> = {
  x86_64: "guest/guest-linux-x64",
  aarch64: "guest/guest-linux-arm64",
};

/**
 * The host's file of the agent for containers of this daemon. Undefined where there is none for its
 * architecture, and where the daemon is not on this kernel: unix sockets end at a machine's border.
 */
export async function agentProgram(engine: DockerEngine): Promise<string | undefined> {
  if (process.platform !== "linux" || !engine.address.startsWith("unix:")) return undefined;
  const { architecture, virtualMachine } = await engine.host();
  const artifact = AGENTS[architecture];
  if (artifact === undefined || virtualMachine) return undefined;
  const file = fileURLToPath(artifactUrl(artifact));
  return existsSync(file) ? file : undefined;
}

/** The access that a container was made for; containers from before there was an agent say nothing. */
export function accessOf(labels: Readonly<Record<string, string>>): Access {
  return labels[LABELS.access] === "agent" ? "agent" : "exec";
}
