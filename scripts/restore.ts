/*---
description: Restores the workspace of a space from a backup
inputs:
  space: {type: string, required: true, description: "Name of the space that was backed up"}
  from: {type: string, default: backups, description: "Space that keeps the backups"}
  backup: {type: string, description: "Name of the backup, such as 2026-01-31T03-00-00-000Z; the newest where none is given"}
  to: {type: string, description: "Space to restore into, made where it is missing; the same one where none is given"}
  template: {type: string, description: "Template to make a missing space from; its own where none is given"}
  live: {type: boolean, default: false, description: "Also restore into a space that runs"}
  dryRun: {type: boolean, default: false, description: "Check the backup, and only tell what would be restored"}
  json: {type: boolean, default: false, description: "Report as JSON"}
---*/
/**
 * What is in the workspace is removed, and what the backup holds put there, once its SHA-256 was
 * found right and the archive read to its end.
 *
 *     spaces run scripts/restore.ts -- --space dev
 *     spaces run scripts/restore.ts -- --space dev --to dev-copy --dry-run
 */
import files from "files";
import { exit } from "runtime";
import spaces from "spaces";
import { type BackupRecord, backupsOf } from "./backups.ts";
import { inputs, refuse, size } from "./report.ts";

const { space, from, backup, to, template, live, dryRun, json } = inputs<{
  space: string;
  from: string;
  backup?: string;
  to?: string;
  template?: string;
  live: boolean;
  dryRun: boolean;
  json: boolean;
}>({ space: "", from: "backups", live: false, dryRun: false, json: false });
if (space === "") refuse("Name the space that was backed up: --space NAME.");

function fail(problem: string): never {
  console.error(problem);
  exit(1);
}

const known = backupsOf(from, space).filter(({ complete }) => complete);
const chosen = backup === undefined ? known[0] : known.find(({ name }) => name === backup);
if (chosen === undefined) {
  const names = known.map(({ name }) => name).join(", ");
  fail(
    backup === undefined
      ? `${from} has no backup of ${space}.`
      : `${from} has no backup ${backup} of ${space}. There are: ${names || "none"}.`,
  );
}

const path = `${space}/${chosen.name}.tgz`;
const record = files.read_json<BackupRecord>(from, `${space}/${chosen.name}.json`);
const { sha256 } = files.stat(from, path, { hash: true });
if (sha256 !== record.sha256) {
  fail(`${path} is not what was backed up: its hash is ${sha256}, not ${record.sha256}.`);
}

const target = to ?? space;
const existing = spaces.list().find(({ name, id }) => name === target || id === target);
if (existing?.is_running === true && !live && !dryRun) {
  fail(`${target} runs. Stop it first, or give --live.`);
}

const plan = { space, backup: chosen.name, to: target, created: existing === undefined };
if (dryRun) {
  if (json) console.log(JSON.stringify({ ...plan, dry_run: true, entries: record.entries }));
  else {
    const how = existing === undefined ? "make and fill" : "replace the workspace of";
    console.log(`would ${how} ${target} from ${path} (${record.entries} entries)`);
  }
  exit(0);
}

if (existing === undefined) {
  const { description, shell, env, metadata } = record;
  spaces.create(target, template ?? record.template, { description, shell, env, metadata });
}
const done = files.extract(target, ".", { space: from, path }, { clean: true });
if (json) console.log(JSON.stringify({ ...plan, ...done }));
else {
  for (const note of done.skipped) console.error(`${target}: ${note}`);
  console.log(`restored ${target} from ${path}: ${done.entries} entries, ${size(done.bytes)}`);
}
exit(done.skipped.length === 0 ? 0 : 1);
