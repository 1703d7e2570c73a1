/**
 * The SQLite dialect of the store: Kysely over libsql, made fit for several processes on one file.
 */

import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
  SqliteDriver,
} from "kysely";
import type Database from "libsql";
import { isBusy, storeErrorFrom } from "./errors.js";
import { Statements } from "./statements.js";

const BUSY_LIMIT_MS = 20_000;

type SqliteDatabase = InstanceType<typeof Database>;
type SqliteStatement = ReturnType<SqliteDatabase["prepare"]>;

/**
 * Repeats what another process's lock keeps from being done, for 20 seconds at most.
 * @throws StoreError for faults of the file or disk, and when the lock was never free
 */
export async function retryWhileBusy<R>(attempt: () => R | Promise<R>): Promise<R> {
  const giveUpAt = Date.now() + BUSY_LIMIT_MS;
  for (let wait = 2; ; wait = Math.min(wait * 2, 100)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || Date.now() > giveUpAt) throw storeErrorFrom(error);
    }
    // SQLite's own lock is unfair: jitter keeps two waiting processes out of step.
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
  }
}

export class LibsqlDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    super({ database });
    this.#database = database;
  }

  override createAdapter(): DialectAdapter {
    return new TransactionalAdapter();
  }

  override createDriver(): Driver {
    return new PatientDriver(this.#database);
  }
}

/** SQLite can migrate within a transaction, so of several processes at once only one does. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** Takes the write lock when a transaction begins, so that it cannot fail half-way through. */
class PatientDriver extends SqliteDriver {
  readonly #database: SqliteDatabase;
  readonly #statements: Statements;
  readonly #turn = new Turn();

  constructor(database: SqliteDatabase) {
    super({ database });
    this.#database = database;
    this.#statements = new Statements(database);
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turn.take();
    return new PatientConnection(await super.acquireConnection(), this.#statements);
  }

  override async releaseConnection(): Promise<void> {
    await super.releaseConnection();
    this.#turn.give();
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // SQLite has rolled back by itself where the disk was full or failed.
    if (this.#database.inTransaction) await super.rollbackTransaction(connection);
  }
}

/** One after the other, in their order. Kysely's own lock wakes all who wait, to let one through. */
class Turn {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  async take(): Promise<void> {
    if (this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#taken = true;
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next();
  }
}

class PatientConnection implements DatabaseConnection {
  readonly #inner: DatabaseConnection;
  readonly #statements: Statements;

  constructor(inner: DatabaseConnection, statements: Statements) {
    this.#inner = inner;
    this.#statements = statements;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    let statement: SqliteStatement | undefined;
    return await retryWhileBusy(() => {
      // One that met a lock is under way until it is run again or its memory is freed, and while a
      // statement is under way nothing can be committed. So the same one is run again.
      statement ??= this.#statements.take(sql);
      const result = execute<R>(statement, parameters);
      this.#statements.keep(sql, statement);
      return result;
    });
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#inner.streamQuery(query, chunkSize);
  }
}

function execute<R>(statement: SqliteStatement, parameters: readonly unknown[]): QueryResult<R> {
  if (statement.reader) return { rows: statement.all([...parameters]) as R[] };
  const { changes, lastInsertRowid } = statement.run([...parameters]);
  return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
}
