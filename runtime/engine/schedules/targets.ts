/**
 * What schedules point at, by name: scripts and spaces. Checked when a schedule is made, and looked
 * for again when it is shown: names are resolved when a job runs, and may be gone by then.
 */
import { SpacesError } from "../../contract/errors.js";
import type { Schedule } from "../../contract/schedules.js";
import { libIsNotRun } from "../../scripts/libs.js";
import type { Store } from "../../store/store.js";
import type { ScheduleRow } from "../../store/tables.js";
import type { CallContext } from "../context.js";
import { findSpace } from "../space-rows.js";
import { StoredScripts } from "../stored-scripts.js";
import { runnableActor } from "./runnable-actor.js";
import { scopeOf } from "./schedule-rows.js";
import { type StoredSpec, specOf } from "./sealed-spec.js";

type Problem = Schedule["problems"][number];

/**
 * @throws SpacesError `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`; `INVALID_INPUT` for a script that cannot
 *   be run so, and a command to notify with that has no space
 */
export async function requireTargets(
  store: Store,
  context: CallContext,
  { script: name, scriptVersion, space, notify }: StoredSpec,
): Promise<void> {
  const script = await new StoredScripts(store).get(context, {
    script: name,
    version: scriptVersion ?? undefined,
    global: false,
  });
  if (script.kind === "lib") throw libIsNotRun(name);
  if (script.language === "native" && space === null) {
    throw new SpacesError("INVALID_INPUT", `The native script "${name}" needs a space.`);
  }
  if (space !== null) await findSpace(store, context.actor, space);
  if (notify?.command === undefined) return;
  const commandSpace = notify.command.space ?? space;
  if (commandSpace === null) {
    throw new SpacesError("INVALID_INPUT", "The command to notify with needs a space to run in.");
  }
  await findSpace(store, context.actor, commandSpace);
}

/** What of a spec `requireTargets` looks at. */
export function targetsOf({ script, scriptVersion, space, notify }: StoredSpec) {
  return { script, scriptVersion, space, command: notify?.command };
}

/** Finds what keeps the schedules of one owner from running well; what many share is looked up once. */
export class ProblemFinder {
  readonly #store: Store;
  readonly #owner: string;
  readonly #looked = new Map<string, Promise<Problem | undefined>>();

  constructor(store: Store, owner: string) {
    this.#store = store;
    this.#owner = owner;
  }

  async problemsOf(row: ScheduleRow): Promise<Problem[]> {
    const spec = specOf(row);
    const { script, scriptVersion, space, notify } = spec;
    const now = await runnableActor(this.#store, this.#owner, scopeOf(row));
    if ("reason" in now) return [{ code: "PERMISSION_DENIED", message: now.reason }];
    const context = { actor: now.actor, depth: 0, local: false };
    const version = scriptVersion ?? undefined;
    const spaces = new Set([space, notify?.command?.space ?? null]);
    const problems = await Promise.all([
      this.#look(`script ${script} ${version}`, () =>
        new StoredScripts(this.#store).get(context, { script, version, global: false }),
      ),
      ...[...spaces].map((ref) =>
        ref === null
          ? undefined
          : this.#look(`space ${ref}`, () => findSpace(this.#store, context.actor, ref)),
      ),
    ]);
    return problems.filter((problem) => problem !== undefined);
  }

  #look(what: string, find: () => Promise<unknown>): Promise<Problem | undefined> {
    let looked = this.#looked.get(what);
    if (looked === undefined) {
      looked = find().then(
        () => undefined,
        (error) => {
          if (!SpacesError.isInstance(error)) throw error;
          return { code: error.code, message: error.message };
        },
      );
      this.#looked.set(what, looked);
    }
    return looked;
  }
}
