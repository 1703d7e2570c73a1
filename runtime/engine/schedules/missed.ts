/** Decides what becomes of the times at which a schedule was due when they are found. */
import type { StoredSpec } from "./sealed-spec.js";

/** As many due times are looked at, the newest ones. */
export const MOST_LOOKED_AT = 1_000;
/** As many missed jobs are kept of one outage; the newest of them tells of the others. */
const MOST_TOLD = 20;

/** What gives due times; all in milliseconds since 1970. */
interface Times {
  after(ms: number): number | undefined;
  newest(ms: number, count: number): number[];
}

export interface FoundDue {
  readonly times: Times;
  readonly policy: Pick<StoredSpec, "missed" | "missedWindowMs">;
  /** The first due time that nobody has seen to. */
  readonly dueMs: number;
  readonly nowMs: number;
  /** A due time that is found later than this was missed. */
  readonly graceMs: number;
}

/** All lists have the oldest first. */
export interface Decision {
  readonly onTime: readonly number[];
  /** Missed, and run after all. */
  readonly madeUp: readonly number[];
  readonly missed: readonly { readonly dueMs: number; readonly reason: string }[];
  readonly nextDueMs: number | undefined;
}

export function decide({ times, policy, dueMs, nowMs, graceMs }: FoundDue): Decision {
  const { found, isAll } = dueUpTo(times, dueMs, nowMs);
  const late = found.filter((time) => nowMs - time > graceMs);
  const onTime = found.filter((time) => nowMs - time <= graceMs);
  const inWindow = late.filter((time) => nowMs - time <= policy.missedWindowMs);
  const madeUp = new Set(
    policy.missed === "all"
      ? inWindow
      : // The newest job that was due is the only one, and it may be on time.
        policy.missed === "once" && onTime.length === 0
        ? inWindow.slice(-1)
        : [],
  );
  const left = late.filter((time) => !madeUp.has(time));
  const told = left.slice(-MOST_TOLD);
  const untold = left.length - told.length;
  const why = (time: number): string => {
    if (policy.missed === "skip") return "Nothing ran it in time.";
    return nowMs - time > policy.missedWindowMs
      ? "Nothing ran it in time, nor within the window for missed jobs."
      : "Nothing ran it in time; a newer job takes its place.";
  };
  return {
    onTime,
    madeUp: [...madeUp],
    missed: told.map((time, index) => {
      const isNewest = index === told.length - 1;
      const others = isNewest ? otherMissed(untold, isAll, dueMs) : "";
      return { dueMs: time, reason: `${why(time)}${others}` };
    }),
    nextDueMs: times.after(Math.max(nowMs, dueMs)),
  };
}

/** The due times from one up to now, or the newest of them where there are too many. */
function dueUpTo(
  times: Times,
  dueMs: number,
  nowMs: number,
): { readonly found: readonly number[]; readonly isAll: boolean } {
  const found: number[] = [];
  let time: number | undefined = dueMs;
  while (time !== undefined && time <= nowMs) {
    if (found.length === MOST_LOOKED_AT) {
      return { found: times.newest(nowMs, MOST_LOOKED_AT), isAll: false };
    }
    found.push(time);
    time = times.after(time);
  }
  return { found, isAll: true };
}

function otherMissed(count: number, isAll: boolean, sinceMs: number): string {
  if (count === 0 && isAll) return "";
  const number = isAll ? `${count}` : `More than ${count}`;
  return ` ${number} more were missed since ${new Date(sinceMs).toISOString()}, which are not listed.`;
}
