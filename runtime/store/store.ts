/** Opens the store: the database of one data directory. The engine is its only user. */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Kysely, Migrator, sql } from "kysely";
import Database from "libsql";
import { LibsqlDialect, retryWhileBusy } from "./dialect.js";
import { StoreError, storeErrorFrom } from "./errors.js";
import { LATEST_MIGRATION, migrationProvider } from "./migrations.js";
import type { Tables } from "./tables.js";

export type Store = Kysely<Tables>;

/**
 * Opens the store below a data directory, making both where they are missing. The directory gets
 * mode 0700: it holds what scripts write and the key of secret fields.
 *
 * @param dataDir absolute path of the data directory
 * @returns the store, migrated to the newest version; several processes may have it open at once
 * @throws StoreError when the directory or the file cannot be used
 */
export async function openStore(dataDir: string): Promise<Store> {
  const database = await retryWhileBusy(() => openFile(dataDir));
  const store = new Kysely<Tables>({ dialect: new LibsqlDialect(database) });
  try {
    await migrate(store);
  } catch (error) {
    await store.destroy();
    throw storeErrorFrom(error);
  }
  return store;
}

function openFile(dataDir: string): InstanceType<typeof Database> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
  // The timeout blocks the event loop, so it is short; the dialect retries after it.
  const database = new Database(join(dataDir, "spaces.db"), { timeout: 100 });
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    database.pragma("foreign_keys = ON");
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

async function migrate(store: Store): Promise<void> {
  const applied = await appliedMigration(store);
  if (applied === LATEST_MIGRATION) return;
  // Migrations only go forward, and what a later one made is not for this version to write to.
  if (applied !== undefined && applied > LATEST_MIGRATION) {
    throw new StoreError("NEWER", "a newer version of spaces has changed it", undefined);
  }
  const migrator = new Migrator({ db: store, provider: migrationProvider });
  const { error } = await migrator.migrateToLatest();
  // Another process may have migrated at the same time: what counts is the version reached.
  if (error !== undefined && (await appliedMigration(store)) !== LATEST_MIGRATION) throw error;
}

async function appliedMigration(store: Store): Promise<string | undefined> {
  const tables = await sql<{ name: string }>`
    select name from sqlite_master where type = 'table' and name = 'kysely_migration'`.execute(
    store,
  );
  if (tables.rows.length === 0) return undefined;
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration order by name desc limit 1`.execute(store);
  return rows[0]?.name;
}
