/*---
description: Backs up the workspaces of spaces into the workspace of another space
inputs:
  into: {type: string, default: backups, description: "Space that keeps the backups; made where it is missing, and need not run"}
  only: {type: array, items: {type: string}, description: "Names of the spaces to back up; all where none is given"}
  label: {type: array, items: {type: string}, description: "Only spaces with all of these labels, such as team=web"}
  exclude: {type: array, items: {type: string}, description: "Globs of what to leave out, relative to the workspace"}
  keep: {type: integer, default: 7, minimum: 1, description: "How many of the newest backups of each space stay"}
  keepDays: {type: integer, default: 0, minimum: 0, description: "Older backups stay, too, for so many days"}
  dryRun: {type: boolean, default: false, description: "Only tell what would be backed up"}
  json: {type: boolean, default: false, description: "Report as JSON"}
---*/
/**
 * A backup is a gzipped tar archive, `<space>/<time>.tgz`, and a record with its SHA-256 beside it.
 * Spaces that run are archived as they are at the moment: what changes meanwhile is told. A space
 * that cannot be backed up does not keep the others from it; then the exit code is 1.
 *
 *     spaces run scripts/backup.ts
 *     spaces run scripts/backup.ts -- --keep 14 --exclude node_modules --label team=web
 */
import files from "files";
import { exit } from "runtime";
import spaces, { type SpaceInfo } from "spaces";
import { type BackupRecord, backupsOf, nameAt, timeOf } from "./backups.ts";
import { counted, inputs, printTable, reasonOf, type Selection, selected, size } from "./report.ts";

const given = inputs({
  into: "backups",
  exclude: [] as string[],
  keep: 7,
  keepDays: 0,
  dryRun: false,
  json: false,
  ...({} as Selection),
});
const { into, exclude, keep, keepDays, dryRun, json } = given;

interface Done {
  space: string;
  ok: boolean;
  live: boolean;
  file?: string;
  size?: number;
  entries?: number;
  sha256?: string;
  skipped?: readonly string[];
  removed?: string[];
  error?: string;
}

/** Archives a workspace, and makes sure that what was written is what was meant. */
function backUp(space: SpaceInfo): Done {
  const time = new Date();
  const path = `${space.name}/${nameAt(time)}`;
  const archive = `${path}.tgz`;
  try {
    const made = files.archive(space.name, ".", { space: into, path: archive }, { exclude });
    const found = files.stat(into, archive, { hash: true });
    if (found.sha256 !== made.sha256) {
      throw new Error(`${archive} has the hash ${found.sha256}, but ${made.sha256} was written.`);
    }
    const { sha256, entries, bytes, skipped } = made;
    const { name, id, template, description, shell, env, metadata } = space;
    const described = { space: name, id, template, description, shell, env, metadata };
    const summary = { sha256, size: made.size, entries, bytes, skipped };
    const record: BackupRecord = { ...described, created_at: time.toISOString(), ...summary };
    files.write_json(into, `${path}.json`, record, { mode: 0o600, overwrite: false });
    const live = space.is_running;
    return { space: name, ok: true, live, file: archive, ...summary, removed: retire(name) };
  } catch (error) {
    try {
      files.remove(into, archive, { force: true });
    } catch {
      // The next backup removes it: without a record it counts for nothing.
    }
    return { space: space.name, ok: false, live: space.is_running, error: reasonOf(error) };
  }
}

/** Removes the backups of a space that need not stay. @returns their names */
function retire(space: string): string[] {
  const all = backupsOf(into, space);
  const complete = all.filter((backup) => backup.complete);
  const newest = new Set(complete.slice(0, keep));
  const since = Date.now() - keepDays * 86_400_000;
  const retired = all.filter((backup) => {
    if (newest.has(backup)) return false;
    // One without a record that is newer than all others may be under way.
    if (!backup.complete) return backup.name < (complete[0]?.name ?? "");
    return timeOf(backup.name).getTime() < since;
  });
  for (const { name } of retired) {
    // The record first: what is left of a backup half removed is none.
    files.remove(into, `${space}/${name}.json`, { force: true });
    files.remove(into, `${space}/${name}.tgz`, { force: true });
  }
  return retired.map(({ name }) => name);
}

const wanted = selected(given).filter(({ name, id }) => name !== into && id !== into);

if (dryRun) {
  const plan = wanted.map(({ name, status }) => ({ space: name, status }));
  if (json) console.log(JSON.stringify({ into, dry_run: true, spaces: plan }));
  else for (const { space } of plan) console.log(`would back up ${space} into ${into}`);
  exit(0);
}

if (!spaces.list().some(({ name, id }) => name === into || id === into)) {
  spaces.create(into, "default", { description: "Backups of other spaces" });
}

const done = wanted.map(backUp);
const failed = done.filter(({ ok }) => !ok).length;

if (json) {
  console.log(JSON.stringify({ into, backups: done, failed }));
} else {
  printTable(
    done.map((backup) => ({
      space: backup.space,
      result: backup.ok ? "ok" : "failed",
      live: backup.live,
      file: backup.file ?? "",
      size: backup.size === undefined ? "" : size(backup.size),
      entries: backup.entries ?? "",
      removed: backup.removed?.length ?? "",
    })),
  );
  for (const { space, error, skipped = [] } of done) {
    if (error !== undefined) console.error(`${space}: ${error}`);
    for (const note of skipped) console.error(`${space}: ${note}`);
  }
  const live = done.filter((backup) => backup.ok && backup.live);
  if (live.length > 0) {
    const names = live.map(({ space }) => space).join(", ");
    console.error(`Archived while they ran, so as they were at the moment: ${names}.`);
  }
  console.log(`${counted(done.length, "space")} into ${into}, ${failed} failed`);
}
exit(failed === 0 ? 0 : 1);
