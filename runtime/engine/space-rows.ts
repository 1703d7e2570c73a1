/** Finds spaces in the store on behalf of an actor, and turns rows into what the contract shows. */
import { join } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { Actor } from "../contract/permissions.js";
import type { Space, SpaceStatus } from "../contract/spaces.js";
import type { TemplateSpec } from "../contract/templates.js";
import type { SpaceSpec } from "../drivers/driver.js";
import type { Store } from "../store/store.js";
import type { SpaceRow } from "../store/tables.js";
import { parseMemory } from "./template-file.js";

/** Where the workspace appears inside of every space. */
export const WORKSPACE_MOUNT = "/workspace";

/** No name begins so: what does is looked up by its key alone, and not among all names. */
const ID_PREFIX = "spc_";

/**
 * Finds a space by id or name. A name is looked up among the actor's own spaces first.
 * @throws SpacesError `SPACE_NOT_FOUND`, also for a space that the actor may not see; `SPACE_EXPIRED`
 *   for one whose time is up; `CONFLICT` for a name that several other owners use
 */
export async function findSpace(store: Store, actor: Actor, ref: string): Promise<SpaceRow> {
  const row = await findEvenExpired(store, actor, ref);
  if (!hasExpired(row)) return row;
  throw new SpacesError("SPACE_EXPIRED", `The space "${row.name}" expired at ${row.expires_at}.`);
}

/** Whether the time of a space is up, so that it is only there to be deleted. */
export function hasExpired({ expires_at }: Pick<SpaceRow, "expires_at">): boolean {
  return expires_at !== null && Date.parse(expires_at) <= Date.now();
}

/**
 * Finds a space as `findSpace` does, also one whose time is up: for its deletion.
 * @throws SpacesError `SPACE_NOT_FOUND`, `CONFLICT`
 */
export async function findEvenExpired(store: Store, actor: Actor, ref: string): Promise<SpaceRow> {
  const living = store.selectFrom("spaces").selectAll().where("status", "!=", "destroyed");
  const named = living.where(ref.startsWith(ID_PREFIX) ? "id" : "name", "=", ref);
  const own = await named.where("owner", "=", actor.id).executeTakeFirst();
  if (own !== undefined) return own;
  const others = actor.permissions.has("ManageSpaces") ? await named.execute() : [];
  const [other] = others;
  if (other === undefined) {
    throw new SpacesError("SPACE_NOT_FOUND", `There is no space "${ref}".`);
  }
  if (others.length > 1) {
    throw new SpacesError("CONFLICT", `Several owners have a space "${ref}".`, {
      suggestion: "Name the space by its id.",
    });
  }
  return other;
}

export function statusOf(row: SpaceRow): SpaceStatus {
  return row.status as SpaceStatus;
}

export function specOf(row: SpaceRow): TemplateSpec {
  return JSON.parse(row.spec) as TemplateSpec;
}

/** The directory of a space below the data directory. */
export function spaceDirectory(dataDir: string, id: string): string {
  return join(dataDir, "spaces", id);
}

export function workspaceOf(dataDir: string, id: string): string {
  return join(spaceDirectory(dataDir, id), "workspace");
}

/** The environment of a space's processes: the template's, then the space's own. */
export function environmentOf(row: SpaceRow): Record<string, string> {
  return {
    ...specOf(row).env,
    ...(JSON.parse(row.env) as Record<string, string>),
    SPACES_SPACE_ID: row.id,
    SPACES_SPACE_NAME: row.name,
  };
}

/** What a driver is told about a space. */
export function driverSpecOf(dataDir: string, row: SpaceRow): SpaceSpec {
  const spec = specOf(row);
  return {
    id: row.id,
    name: row.name,
    owner: row.owner,
    workspace: workspaceOf(dataDir, row.id),
    stateDir: join(spaceDirectory(dataDir, row.id), "state"),
    workspaceMount: WORKSPACE_MOUNT,
    workdir: spec.workdir ?? WORKSPACE_MOUNT,
    shell: row.shell,
    image: row.image ?? undefined,
    env: environmentOf(row),
    resources: {
      memoryBytes: parseMemory(spec.resources.memory),
      cpus: spec.resources.cpus,
      pids: spec.resources.pids,
    },
    network: row.network as SpaceSpec["network"],
    user: spec.user,
  };
}

/** A space as the contract shows it, without its host path. */
export function spaceOf(
  row: SpaceRow,
  fields: Record<string, string>,
  activity: "idle" | "busy",
): Space {
  const status = statusOf(row);
  return {
    id: row.id,
    name: row.name,
    owner: row.owner,
    template: row.template,
    description: row.description,
    shell: row.shell as Space["shell"],
    status,
    ...(status === "running" ? { activity } : {}),
    isRunning: status === "running",
    driver: row.driver,
    ...(row.image === null ? {} : { image: row.image }),
    ...(row.access === null ? {} : { access: row.access as NonNullable<Space["access"]> }),
    workdir: specOf(row).workdir ?? WORKSPACE_MOUNT,
    env: JSON.parse(row.env) as Record<string, string>,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    fields,
    createdAt: row.created_at,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    updatedAt: row.updated_at,
    ...(row.started_at === null ? {} : { startedAt: row.started_at }),
    ...(row.last_active_at === null ? {} : { lastActiveAt: row.last_active_at }),
    ...(row.last_error === null
      ? {}
      : { lastError: JSON.parse(row.last_error) as NonNullable<Space["lastError"]> }),
  };
}
