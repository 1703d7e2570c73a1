/** How many schedules an owner may have: they are planned, listed and applied together. */
import { SpacesError } from "../../contract/errors.js";
import type { Store } from "../../store/store.js";

const MOST_SCHEDULES = 2_000;

/** @throws SpacesError `LIMIT_EXCEEDED` where an owner has as many schedules as may be */
export async function requireRoom(store: Store, owner: string): Promise<void> {
  const { count } = await store
    .selectFrom("schedules")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("owner", "=", owner)
    .executeTakeFirstOrThrow();
  if (count < MOST_SCHEDULES) return;
  throw new SpacesError("LIMIT_EXCEEDED", `You have ${count} schedules; more are not taken.`, {
    suggestion: "Remove schedules that are not needed, or have one script do the work of several.",
  });
}
