/**
 * What a space's container is called and how it is made: names, labels, limits, and everything that
 * a container may not do. Called by the driver at `create`.
 */
import { createHash } from "node:crypto";
import type { ContainerCreateOptions, MountConfig } from "dockerode";
import { SpacesError } from "../../contract/errors.js";
import type { SpaceSpec } from "../driver.js";
import { AGENT_COMMAND, AGENT_DIRECTORY, AGENT_PATH, type AgentPlace } from "./agent-place.js";
import { KEEPER_PATH, type Keeper } from "./keeper.js";

/** The image of a space. @throws SpacesError `INVALID_INPUT` for a space without one */
export function imageOf(space: SpaceSpec): string {
  if (space.image !== undefined) return space.image;
  throw new SpacesError("INVALID_INPUT", `The space "${space.name}" has no image.`);
}

/** Keeps a fork bomb in a space without a limit of its own from taking the machine. */
export const DEFAULT_PIDS_LIMIT = 1024;

export const LABELS = {
  installation: "spaces.installation",
  space: "spaces.space",
  name: "spaces.name",
  owner: "spaces.owner",
  network: "spaces.network",
  access: "spaces.access",
} as const;

/** Gives the agent its token; it wipes the variable before anything else runs in the container. */
export const TOKEN_VARIABLE = "SPACES_GUEST_TOKEN";

/** A short form of the installation's id for names of things in the daemon. */
export function shortInstallation(installationId: string): string {
  return createHash("sha256").update(installationId).digest("hex").slice(0, 10);
}

/** A short form of an owner within an installation, for the same use. */
export function shortOwner(installationId: string, owner: string): string {
  return createHash("sha256").update(`${installationId}\0${owner}`).digest("hex").slice(0, 12);
}

/** The name of a space's container. */
export function containerName(installationId: string, spaceId: string): string {
  return `spaces-${shortInstallation(installationId)}-${spaceId}`;
}

/** What a container's main process is. */
export type MainProcess =
  | { readonly access: "agent"; readonly place: AgentPlace; readonly token: string }
  | { readonly access: "exec"; readonly keeper: Keeper };

interface ContainerRequest {
  readonly space: SpaceSpec;
  readonly installationId: string;
  readonly main: MainProcess;
  /** Name of the owner's internal network, for spaces on it. */
  readonly internalNetwork: string;
}

/** The request by which a space's container is made. */
export function containerOptions(request: ContainerRequest): ContainerCreateOptions {
  const { space, installationId, main, internalNetwork } = request;
  const { memoryBytes, cpus, pids } = space.resources;
  const env = { HOME: space.workspaceMount, ...space.env };
  const user = space.user ?? ownerOfThisProcess();
  return {
    name: containerName(installationId, space.id),
    Image: imageOf(space),
    Entrypoint: main.access === "agent" ? AGENT_COMMAND : main.keeper.command,
    Cmd: [],
    Hostname: space.name,
    Env: Object.entries(
      main.access === "agent" ? { ...env, [TOKEN_VARIABLE]: main.token } : env,
    ).map(([name, value]) => `${name}=${value}`),
    // Docker makes a missing directory here as root, so it names one that is always there.
    WorkingDir: space.workspaceMount,
    Labels: {
      [LABELS.installation]: installationId,
      [LABELS.space]: space.id,
      [LABELS.name]: space.name,
      [LABELS.owner]: shortOwner(installationId, space.owner),
      [LABELS.network]: space.network,
      [LABELS.access]: main.access,
    },
    // An image's own check would run programs in the space that nobody asked for.
    Healthcheck: { Test: ["NONE"] },
    ...(user === undefined ? {} : { User: user }),
    HostConfig: {
      // The agent reaps by itself; and the kernel lets nothing in the space kill the first process.
      Init: main.access === "exec",
      Privileged: false,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: pids ?? DEFAULT_PIDS_LIMIT,
      // Equal values mean that the limit cannot be doubled by swapping.
      ...(memoryBytes === undefined ? {} : { Memory: memoryBytes, MemorySwap: memoryBytes }),
      ...(cpus === undefined ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
      IpcMode: "private",
      LogConfig: { Type: "none", Config: {} },
      RestartPolicy: { Name: "no" },
      // As `Mounts`, not `Binds`: a missing source is an error and not a new directory of root's.
      Mounts: [
        { Type: "bind", Source: space.workspace, Target: space.workspaceMount },
        ...mountsOf(main),
      ],
      ...networkOf(space, internalNetwork),
    },
    ...(space.network === "internal"
      ? { NetworkingConfig: { EndpointsConfig: { [internalNetwork]: { Aliases: [space.id] } } } }
      : {}),
  };
}

function mountsOf(main: MainProcess): MountConfig {
  if (main.access === "agent") {
    return [
      { Type: "bind", Source: main.place.program, Target: AGENT_PATH, ReadOnly: true },
      { Type: "bind", Source: main.place.shared, Target: AGENT_DIRECTORY },
    ];
  }
  const { file } = main.keeper;
  if (file === undefined) return [];
  return [{ Type: "bind", Source: file, Target: KEEPER_PATH, ReadOnly: true }];
}

function networkOf(space: SpaceSpec, internalNetwork: string) {
  if (space.network === "none") return { NetworkMode: "none" };
  if (space.network === "open") return { NetworkMode: "bridge" };
  // Old daemons pass questions about foreign names on to the outside, which is a way to send data
  // there. The container's own loopback as name server leaves only the names of its network.
  return { NetworkMode: internalNetwork, Dns: ["127.0.0.1"] };
}

/** `uid:gid` of this process, so that files of the space stay the owner's; none on Windows. */
function ownerOfThisProcess(): string | undefined {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  return uid === undefined || gid === undefined ? undefined : `${uid}:${gid}`;
}
