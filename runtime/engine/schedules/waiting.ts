/** How many jobs of a schedule may wait: beyond it none is added, by hand or when it is due. */
import type { Store } from "../../store/store.js";
import { PENDING } from "./open-jobs.js";

/** Jobs of one schedule that may wait at once, however they came to. */
export const MOST_WAITING = 1_000;

/** How many jobs of a schedule wait for their first attempt. */
export async function waitingOf(store: Store, scheduleId: string): Promise<number> {
  const { count } = await store
    .selectFrom("jobs")
    .select((select) => select.fn.countAll<number>().as("count"))
    .where("schedule_id", "=", scheduleId)
    .where("status", "=", PENDING)
    .executeTakeFirstOrThrow();
  return count;
}
