/** The prepared statements of one database. Preparing one takes as long as running it. */
import type Database from "libsql";

type SqliteDatabase = InstanceType<typeof Database>;
type SqliteStatement = ReturnType<SqliteDatabase["prepare"]>;

/** Texts differ by how many values they list, so there is no end to them. */
const MOST_KEPT = 200;

export class Statements {
  readonly #database: SqliteDatabase;
  readonly #kept = new Map<string, SqliteStatement>();

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** The statement of a text: one that has been run to its end before, or a new one. */
  take(sql: string): SqliteStatement {
    const known = this.#kept.get(sql);
    if (known === undefined) return this.#database.prepare(sql);
    this.#kept.delete(sql);
    return known;
  }

  /** Keeps a statement that has been run to its end; the one that was unused longest may go. */
  keep(sql: string, statement: SqliteStatement): void {
    this.#kept.set(sql, statement);
    if (this.#kept.size <= MOST_KEPT) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}
