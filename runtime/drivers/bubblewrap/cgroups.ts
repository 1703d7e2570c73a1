/**
 * Control groups: which limits this process may set with them, and the groups of one space. Knows
 * both versions, also side by side. Used by the driver.
 */
import { createHash } from "node:crypto";
import { accessSync, constants, readFileSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type { ResourceLimits } from "../driver.js";

export type LimitName = keyof ResourceLimits;

/** The directory below which a limit's groups are made. */
export interface CgroupParent {
  readonly version: 1 | 2;
  readonly directory: string;
}

export type CgroupParents = Readonly<Partial<Record<LimitName, CgroupParent>>>;

const CONTROLLERS: Readonly<Record<LimitName, string>> = {
  memoryBytes: "memory",
  cpus: "cpu",
  pids: "pids",
};
const LIMIT_NAMES = ["memoryBytes", "cpus", "pids"] as const;
const PERIOD_US = 100_000;
/** The kernel refuses less. */
const LEAST_QUOTA_US = 1000;
const REMOVAL_MS = 2000;

/** Where this process may make groups, for each limit that it can set so. */
export function findCgroupParents(): CgroupParents {
  const mounts = parseMounts(readIfThere("/proc/self/mountinfo"));
  const own = parseOwnGroup(readIfThere("/proc/self/cgroup"));
  const unified = mounts.find(({ type }) => type === "cgroup2");
  const parents: Partial<Record<LimitName, CgroupParent>> = {};
  for (const limit of LIMIT_NAMES) {
    const controller = CONTROLLERS[limit];
    const legacy = mounts.find((mount) => mount.type === "cgroup" && mount.has(controller));
    const directory =
      legacy !== undefined
        ? writableOrNothing(legacy.path)
        : unified !== undefined && own !== undefined
          ? delegated(unified.path, own, controller)
          : undefined;
    if (directory !== undefined) {
      parents[limit] = { version: legacy === undefined ? 2 : 1, directory };
    }
  }
  return parents;
}

interface CgroupMount {
  readonly type: string;
  readonly path: string;
  has(controller: string): boolean;
}

function parseMounts(text: string): CgroupMount[] {
  return text.split("\n").flatMap((line) => {
    const [left, right] = line.split(" - ");
    const path = left?.split(" ")[4];
    const [type, , options] = right?.split(" ") ?? [];
    if (path === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    const controllers = options?.split(",") ?? [];
    return [{ type, path, has: (controller: string) => controllers.includes(controller) }];
  });
}

/** The own group's path in version 2's tree. */
function parseOwnGroup(text: string): string | undefined {
  const line = text.split("\n").find((found) => found.startsWith("0::"));
  return line?.slice("0::".length);
}

/** The topmost group above the own one that was given to us and that can pass the controller on. */
function delegated(root: string, own: string, controller: string): string | undefined {
  // A group outside of what is mounted here cannot be reached.
  if (own.split("/").includes("..")) return undefined;
  const path: string[] = [];
  for (let at = join(root, own); at.length >= root.length; at = dirname(at)) path.unshift(at);
  return path.find((directory) => {
    if (!wordsOf(join(directory, "cgroup.controllers")).includes(controller)) return false;
    if (!isWritable(directory) || !isWritable(join(directory, "cgroup.procs"))) return false;
    if (wordsOf(join(directory, "cgroup.subtree_control")).includes(controller)) return true;
    // A group that has processes can pass nothing on, unless it is the root of all.
    const isTop = readIfThere(join(directory, "cgroup.type")) === "";
    const isEmpty = wordsOf(join(directory, "cgroup.procs")).length === 0;
    return (isTop || isEmpty) && isWritable(join(directory, "cgroup.subtree_control"));
  });
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // A kernel without it, or one that hides it: no groups then.
    return "";
  }
}

function wordsOf(path: string): string[] {
  return readIfThere(path)
    .split(/\s+/)
    .filter((word) => word !== "");
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function writableOrNothing(directory: string): string | undefined {
  return isWritable(directory) ? directory : undefined;
}

/** The name of a space's groups, wherever they are. */
export function cgroupName(installationId: string, spaceId: string): string {
  const installation = createHash("sha256").update(installationId).digest("hex").slice(0, 10);
  return `spaces-${installation}-${spaceId}`;
}

/** One group with the settings that it gets. */
export interface CgroupPlan {
  readonly directory: string;
  readonly controllers: readonly string[];
  readonly version: 1 | 2;
  readonly settings: ReadonlyArray<readonly [file: string, value: string]>;
}

/** The groups for the limits that can be set by groups, under a name that no other space has. */
export function planCgroups(
  parents: CgroupParents,
  limits: ResourceLimits,
  name: string,
): CgroupPlan[] {
  const plans = new Map<string, CgroupPlan>();
  for (const limit of LIMIT_NAMES) {
    const value = limits[limit];
    const parent = parents[limit];
    if (value === undefined || parent === undefined) continue;
    const directory = join(parent.directory, name);
    const before = plans.get(directory);
    plans.set(directory, {
      directory,
      version: parent.version,
      controllers: [...(before?.controllers ?? []), CONTROLLERS[limit]],
      settings: [...(before?.settings ?? []), ...settingsOf(limit, value, parent.version)],
    });
  }
  return [...plans.values()];
}

function settingsOf(limit: LimitName, value: number, version: 1 | 2): Array<[string, string]> {
  const text = String(value);
  switch (limit) {
    case "memoryBytes":
      return version === 1
        ? [
            ["memory.limit_in_bytes", text],
            ["memory.memsw.limit_in_bytes", text],
          ]
        : [
            ["memory.max", text],
            ["memory.swap.max", "0"],
          ];
    case "cpus": {
      const quota = String(Math.max(LEAST_QUOTA_US, Math.round(value * PERIOD_US)));
      return version === 1
        ? [
            ["cpu.cfs_period_us", String(PERIOD_US)],
            ["cpu.cfs_quota_us", quota],
          ]
        : [["cpu.max", `${quota} ${PERIOD_US}`]];
    }
    case "pids":
      return [["pids.max", text]];
  }
}

/** Kernels that do not account for swap have no file for its limit. */
const OPTIONAL = new Set(["memory.memsw.limit_in_bytes", "memory.swap.max"]);

/**
 * Makes the groups and sets their limits.
 * @throws SpacesError `UNSUPPORTED` naming the limit that the kernel refuses
 */
export async function makeCgroups(plans: readonly CgroupPlan[]): Promise<void> {
  for (const { directory, version, controllers, settings } of plans) {
    try {
      if (version === 2) await passOn(dirname(directory), controllers);
      await mkdir(directory, { recursive: true });
      for (const [file, value] of settings) await set(join(directory, file), value);
    } catch (error) {
      throw new SpacesError(
        "UNSUPPORTED",
        `The ${controllers.join(" and ")} limit cannot be set here: ${String(error)}.`,
        { suggestion: "Leave the limit out, or use the docker driver.", cause: error },
      );
    }
  }
}

async function passOn(parent: string, controllers: readonly string[]): Promise<void> {
  const file = join(parent, "cgroup.subtree_control");
  const missing = controllers.filter((controller) => !wordsOf(file).includes(controller));
  if (missing.length > 0) {
    await writeFile(file, missing.map((controller) => `+${controller}`).join(" "));
  }
}

async function set(path: string, value: string): Promise<void> {
  try {
    await writeFile(path, value, { flag: "r+" });
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!missing || !OPTIONAL.has(path.slice(path.lastIndexOf("/") + 1))) throw error;
  }
}

/** Puts a process into the groups; what it starts from then on is in them too. */
export async function joinCgroups(plans: readonly CgroupPlan[], pid: number): Promise<void> {
  for (const { directory } of plans) await writeFile(join(directory, "cgroup.procs"), String(pid));
}

/** Removes groups whose processes have ended; the kernel may need a moment for the last. */
export async function removeCgroups(directories: readonly string[]): Promise<void> {
  const deadline = Date.now() + REMOVAL_MS;
  for (const directory of directories) {
    for (;;) {
      const code = await rmdir(directory).then(() => undefined, codeOf);
      if (code === undefined || code === "ENOENT") break;
      if (code !== "EBUSY" || Date.now() > deadline) {
        const members = await readFile(join(directory, "cgroup.procs"), "utf8").catch(() => "");
        throw new SpacesError(
          "DRIVER_FAILED",
          `The group ${directory} cannot be removed: ${code}.`,
          {
            details: { processes: members.trim().split("\n") },
          },
        );
      }
      await delay(5);
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
