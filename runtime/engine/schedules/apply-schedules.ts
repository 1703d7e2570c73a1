/** Writes all schedules of a file, or none of them. `schedules.apply` calls it. */
import { SpacesError } from "../../contract/errors.js";
import type { Store } from "../../store/store.js";
import { DueTimes } from "./due-times.js";
import type { ParsedSchedule } from "./schedule-file.js";

export interface AppliedSchedule {
  readonly name: string;
  readonly result: "created" | "updated" | "unchanged";
}

/** Adds or changes one schedule within a transaction. */
type Put = (transaction: Store, spec: ParsedSchedule["spec"]) => Promise<AppliedSchedule["result"]>;

/** @throws SpacesError of the first schedule that cannot be, with line and column */
export async function applySchedules(
  store: Store,
  parsed: readonly ParsedSchedule[],
  put: Put,
): Promise<AppliedSchedule[]> {
  return await store.transaction().execute(async (transaction) => {
    const applied: AppliedSchedule[] = [];
    for (const each of parsed) {
      requireTimes(each);
      const { name } = each.spec;
      try {
        applied.push({ name, result: await put(transaction, each.spec) });
      } catch (error) {
        throw placed(error, each);
      }
    }
    return applied;
  });
}

/**
 * Looks whether a schedule is due at all.
 * @throws SpacesError `INVALID_INPUT` with the position of the time zone or of the cron expression
 */
function requireTimes({ spec: { cron, timezone }, mistakeAt }: ParsedSchedule): void {
  for (const [setting, expression] of [
    ["timezone", "@daily"],
    ["cron", cron],
  ] as const) {
    try {
      DueTimes.of(expression, timezone);
    } catch (error) {
      throw SpacesError.isInstance(error) ? mistakeAt(setting, error.message, error.code) : error;
    }
  }
}

/** An error about what a schedule points at, with its position. */
function placed(error: unknown, { spec, mistakeAt }: ParsedSchedule): unknown {
  if (!SpacesError.isInstance(error)) return error;
  const { code, message } = error;
  const { space, notify } = spec;
  const noSpaceToTell = notify?.command !== undefined && (notify.command.space ?? space) === null;
  switch (code) {
    case "SCRIPT_NOT_FOUND":
      return mistakeAt("script", message, code);
    case "SPACE_NOT_FOUND":
      return mistakeAt(message.includes(`"${space}"`) ? "space" : "notify", message, code);
    case "INVALID_INPUT":
      return mistakeAt(noSpaceToTell ? "notify" : "script", message, code);
    default:
      return error;
  }
}
