/*---
description: How backups are kept - shared by backup and restore
kind: lib
---*/
import files from "files";

/** Lies beside an archive, and is written when that is known to be whole. */
export interface BackupRecord {
  space: string;
  id: string;
  template: string;
  description: string;
  shell: string;
  env: Record<string, string>;
  metadata: Record<string, string>;
  created_at: string;
  sha256: string;
  size: number;
  entries: number;
  bytes: number;
  /** What could not be archived, or changed meanwhile. */
  skipped: readonly string[];
}

const NAME = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z)\.(tgz|json)$/;

/** The name, without an ending, of a backup that is made at a time. */
export function nameAt(time: Date): string {
  return time.toISOString().replace(/[:.]/g, "-");
}

/** When a backup of a name was made. */
export function timeOf(name: string): Date {
  return new Date(name.replace(/T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z$/, "T$1:$2:$3.$4Z"));
}

export interface BackupName {
  readonly name: string;
  /** Whether its record is there, which is written last. */
  readonly complete: boolean;
}

/** The backups of a space, the newest first. */
export function backupsOf(store: string, space: string): BackupName[] {
  if (!files.exists(store, space)) return [];
  const endings = new Map<string, string[]>();
  for (const file of files.list(store, space)) {
    const [, name, ending] = NAME.exec(file.name) ?? [];
    if (name === undefined || ending === undefined || file.type !== "file") continue;
    endings.set(name, [...(endings.get(name) ?? []), ending]);
  }
  return [...endings]
    .map(([name, found]) => ({ name, complete: found.length === 2 }))
    .sort((a, b) => (a.name < b.name ? 1 : -1));
}
