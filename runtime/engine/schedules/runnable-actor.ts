/** Whether the owner of a schedule may have a script run now, and as whom it then runs. */
import type { Actor, Permission } from "../../contract/permissions.js";
import type { Store } from "../../store/store.js";
import { presentActor } from "../identity/present-actor.js";

/** What somebody needs to have scripts run by a schedule. */
export const NEEDED: readonly Permission[] = ["ManageSchedules", "ExecuteScripts"];

/**
 * The owner as the actor of a job: with what it may do at this moment, within the schedule's scope.
 * @returns the actor, or why there is none
 */
export async function runnableActor(
  store: Store,
  owner: string,
  scope: ReadonlySet<Permission> | undefined,
): Promise<{ readonly actor: Actor } | { readonly reason: string }> {
  const present = await presentActor(store, owner, scope);
  if ("refusal" in present) return { reason: `The schedule's owner is ${present.refusal}.` };
  const lacking = NEEDED.find((permission) => !present.actor.permissions.has(permission));
  if (lacking === undefined) return present;
  return {
    reason: `The schedule's owner lacks the permission ${lacking}, or was without it when making the schedule.`,
  };
}
