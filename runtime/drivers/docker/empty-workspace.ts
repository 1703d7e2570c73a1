/**
 * Empties a workspace from within a container, as root: what root wrote in a space is not the host
 * user's to remove. Called by the driver.
 */
import { SpacesError } from "../../contract/errors.js";
import type { SpaceSpec } from "../driver.js";
import { AGENT_PATH } from "./agent-place.js";
import { imageOf } from "./container-spec.js";
import { type DockerEngine, LIFECYCLE_TIMEOUT_MS } from "./engine.js";

/**
 * Runs the agent's program once in a container that has nothing but the workspace.
 * @param program host path of the guest agent
 * @throws SpacesError `DRIVER_FAILED` when something stays
 */
export async function emptyInContainer(
  engine: DockerEngine,
  space: SpaceSpec,
  program: string,
): Promise<void> {
  const what = `remove the files of space "${space.name}"`;
  const { id } = await engine.call(what, (docker, abortSignal) =>
    docker.createContainer({
      Image: imageOf(space),
      Entrypoint: [AGENT_PATH, "empty", space.workspaceMount],
      Cmd: [],
      User: "0:0",
      HostConfig: {
        NetworkMode: "none",
        ReadonlyRootfs: true,
        CapDrop: ["ALL"],
        // Root without it has no more rights on foreign files than anyone.
        CapAdd: ["DAC_OVERRIDE"],
        SecurityOpt: ["no-new-privileges"],
        LogConfig: { Type: "none", Config: {} },
        Mounts: [
          { Type: "bind", Source: space.workspace, Target: space.workspaceMount },
          { Type: "bind", Source: program, Target: AGENT_PATH, ReadOnly: true },
        ],
      },
      abortSignal,
    }),
  );
  try {
    const { StatusCode } = await engine.call(
      what,
      async (docker, abortSignal) => {
        const container = docker.getContainer(id);
        await container.start({ abortSignal });
        return (await container.wait({ abortSignal })) as { StatusCode: number };
      },
      { timeoutMs: LIFECYCLE_TIMEOUT_MS },
    );
    if (StatusCode === 0) return;
    throw new SpacesError("DRIVER_FAILED", `The files of "${space.name}" cannot all be removed.`, {
      suggestion: "Remove the space's directory by hand, then delete the space again.",
      details: { exit_code: StatusCode },
    });
  } finally {
    await engine.call(what, (docker) => docker.getContainer(id).remove({ force: true }));
  }
}
