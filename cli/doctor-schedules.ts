/** What `spaces doctor` checks of schedules: that something runs them, that they succeed, and that what they need is there. */
import type { Schedule } from "../runtime/contract/schedules.js";
import type { SystemInfo } from "../runtime/contract/system.js";
import type { Problem } from "./doctor.js";
import { toSpacesError } from "./failures.js";
import type { Session } from "./session.js";
import { isLate, whyOf } from "./show-schedule.js";
import { ago, printable } from "./text.js";

export interface ScheduleFindings {
  readonly count: number;
  readonly problems: readonly Problem[];
}

/**
 * Checks the caller's schedules.
 * @param problems what is wrong is added to these
 * @returns undefined where the caller may not see schedules, or they cannot be read
 */
export async function examineSchedules(
  session: Session,
  { binding }: SystemInfo,
  problems: Problem[],
): Promise<ScheduleFindings | undefined> {
  try {
    const client = await session.client();
    const { items } = await client.schedules.list({}, { signal: session.signal });
    const found = items.flatMap((schedule) => problemsOf(schedule, binding));
    problems.push(...found);
    return { count: items.length, problems: found };
  } catch (failure) {
    const error = toSpacesError(failure);
    if (error.code === "CANCELLED") throw error;
    if (error.code !== "PERMISSION_DENIED") {
      problems.push({ what: "schedules", reason: error.message, remedy: error.suggestion });
    }
    return undefined;
  }
}

function problemsOf(schedule: Schedule, binding: SystemInfo["binding"]): Problem[] {
  const { name, nextDueAt, lastJob, failuresInARow } = schedule;
  const what = `schedule ${name}`;
  const found = schedule.problems.map(({ message }) => ({
    what,
    reason: message,
    remedy: `Bring it back, or change the schedule with \`spaces schedules update ${name}\`.`,
  }));
  if (nextDueAt !== undefined && isLate(schedule)) {
    found.push({
      what,
      reason: `It was due ${ago(nextDueAt)}, and nothing has run it.`,
      remedy:
        binding === "remote"
          ? "Look into the server's log for what keeps it from running jobs."
          : "Run `spaces serve`, or have cron run `spaces schedules tick` every minute.",
    });
  }
  if (failuresInARow > 0) {
    const why = lastJob === undefined ? "" : whyOf(lastJob);
    const times = failuresInARow === 1 ? "Its last job" : `Its last ${failuresInARow} jobs`;
    found.push({
      what,
      reason: `${times} failed${why === "" ? "." : `: ${why}`}`,
      remedy: `Look at \`spaces schedules history ${name}\`.`,
    });
  }
  return found;
}

/** The findings as lines for people. @param mark shows whether something is well */
export function describeSchedules(
  { count, problems }: ScheduleFindings,
  mark: (good: boolean) => string,
): string {
  const lines = problems.map(
    ({ what, reason, remedy }) =>
      `${mark(false)}${printable(what)}\n      ${printable(reason)}\n      ${printable(remedy)}\n`,
  );
  if (lines.length > 0) return lines.join("");
  return `${mark(true)}${count} ${count === 1 ? "schedule" : "schedules"}\n`;
}
