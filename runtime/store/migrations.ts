/** Forward-only migrations of the store, applied in the order of their names. */
import { createHash } from "node:crypto";
import { type Kysely, type Migration, type MigrationProvider, type SqlBool, sql } from "kysely";
import type { ScriptVersionTable } from "./tables.js";

const migrations: Readonly<Record<string, Migration>> = {
  "0001-first-tables": {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("installation")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("created_at", "text", (column) => column.notNull())
        .execute();

      await db.schema
        .createTable("spaces")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("owner", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("template", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("driver", "text", (column) => column.notNull())
        .addColumn("image", "text")
        .addColumn("access", "text")
        .addColumn("network", "text", (column) => column.notNull())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("shell", "text", (column) => column.notNull())
        .addColumn("env", "text", (column) => column.notNull())
        .addColumn("metadata", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("revision", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("setup_done", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("last_error", "text")
        .addColumn("operation", "text")
        .addColumn("operation_holder", "text")
        .addColumn("operation_renewed_ms", "integer")
        .addColumn("created_at", "text", (column) => column.notNull())
        .addColumn("updated_at", "text", (column) => column.notNull())
        .addColumn("started_at", "text")
        .addColumn("last_active_at", "text")
        .execute();
      // A deleted space frees its name at once, though its removal may still be under way.
      await db.schema
        .createIndex("spaces_owner_name")
        .unique()
        .on("spaces")
        .columns(["owner", "name"])
        .where(sql.ref("status"), "!=", sql.lit("destroyed"))
        .execute();

      await db.schema
        .createTable("fields")
        .addColumn("space_id", "text", (column) =>
          column.notNull().references("spaces.id").onDelete("cascade"),
        )
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("value", "text", (column) => column.notNull())
        .addColumn("updated_at", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("fields_key", ["space_id", "name"])
        .execute();

      await db.schema
        .createTable("templates")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("source", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("created_at", "text", (column) => column.notNull())
        .addColumn("updated_at", "text", (column) => column.notNull())
        .execute();

      await db.schema
        .createTable("scripts")
        .addColumn("owner", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("language", "text", (column) => column.notNull())
        .addColumn("source", "text", (column) => column.notNull())
        .addColumn("created_at", "text", (column) => column.notNull())
        .addColumn("updated_at", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("scripts_key", ["owner", "name"])
        .execute();

      await db.schema
        .createTable("processes")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("space_id", "text", (column) =>
          column.notNull().references("spaces.id").onDelete("cascade"),
        )
        .addColumn("holder", "text", (column) => column.notNull())
        .addColumn("started_at", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("processes_space").on("processes").column("space_id").execute();
    },
  },
  "0002-forwards": {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("forwards")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("source_id", "text", (column) =>
          column.references("spaces.id").onDelete("cascade"),
        )
        .addColumn("local_port", "integer", (column) => column.notNull())
        .addColumn("remote_id", "text", (column) =>
          column.notNull().references("spaces.id").onDelete("cascade"),
        )
        .addColumn("remote_port", "integer", (column) => column.notNull())
        .addColumn("created_at", "text", (column) => column.notNull())
        .execute();
      // The host is one more place that listens; SQLite takes every null for another.
      await sql`create unique index forwards_listener
        on forwards (coalesce(source_id, ''), local_port)`.execute(db);
    },
  },
  "0003-identity": {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("users")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull().unique())
        .addColumn("disabled", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("created_at", "text", (column) => column.notNull())
        .execute();

      await db.schema
        .createTable("roles")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("permissions", "text", (column) => column.notNull())
        .addColumn("updated_at", "text", (column) => column.notNull())
        .execute();

      // No reference to `roles`: the built-in ones are not in that table.
      await db.schema
        .createTable("user_roles")
        .addColumn("user_id", "text", (column) =>
          column.notNull().references("users.id").onDelete("cascade"),
        )
        .addColumn("role", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("user_roles_key", ["user_id", "role"])
        .execute();
      await db.schema.createIndex("user_roles_role").on("user_roles").column("role").execute();

      await db.schema
        .createTable("tokens")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("hash", "text", (column) => column.notNull().unique())
        .addColumn("user_id", "text", (column) =>
          column.notNull().references("users.id").onDelete("cascade"),
        )
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("scope", "text")
        .addColumn("parent_id", "text", (column) =>
          column.references("tokens.id").onDelete("set null"),
        )
        .addColumn("created_at", "text", (column) => column.notNull())
        .addColumn("expires_at", "text")
        .addColumn("last_used_at", "text")
        .addColumn("revoked_at", "text")
        .execute();
      await db.schema.createIndex("tokens_user").on("tokens").column("user_id").execute();
      await db.schema.createIndex("tokens_parent").on("tokens").column("parent_id").execute();

      await db.schema.alterTable("spaces").addColumn("expires_at", "text").execute();
      await db.schema
        .createIndex("spaces_expiry")
        .on("spaces")
        .column("expires_at")
        .where(sql.ref("expires_at"), "is not", null)
        .execute();
    },
  },
  "0004-kept-answers": {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("kept_answers")
        .addColumn("actor", "text", (column) => column.notNull())
        .addColumn("key", "text", (column) => column.notNull())
        .addColumn("request", "text", (column) => column.notNull())
        .addColumn("holder", "text", (column) => column.notNull())
        .addColumn("status", "integer")
        .addColumn("body", "text")
        .addColumn("created_ms", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("kept_answers_key", ["actor", "key"])
        .execute();
      await db.schema
        .createIndex("kept_answers_created")
        .on("kept_answers")
        .column("created_ms")
        .execute();
    },
  },
  "0005-runs-and-schedules": {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("script_versions")
        .addColumn("owner", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("version", "integer", (column) => column.notNull())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("language", "text", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("tool", "integer", (column) => column.notNull())
        .addColumn("inputs", "text")
        .addColumn("source", "text", (column) => column.notNull())
        .addColumn("sha256", "text", (column) => column.notNull())
        .addColumn("created_at", "text", (column) => column.notNull())
        .addColumn("created_by", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("script_versions_key", ["owner", "name", "version"])
        .addForeignKeyConstraint(
          "script_versions_script",
          ["owner", "name"],
          "scripts",
          ["owner", "name"],
          (constraint) => constraint.onDelete("cascade"),
        )
        .execute();
      await db.schema
        .alterTable("scripts")
        .addColumn("version", "integer", (column) => column.notNull().defaultTo(1))
        .execute();
      await keepFirstVersions(db as Kysely<ScriptsBefore>);
      for (const column of ["description", "language", "source"]) {
        await db.schema.alterTable("scripts").dropColumn(column).execute();
      }

      await db.schema
        .createTable("runs")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("owner", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("script", "text")
        .addColumn("schedule", "text")
        .addColumn("record", "text", (column) => column.notNull())
        .addColumn("sources", "text", (column) => column.notNull())
        .addColumn("started_at", "text", (column) => column.notNull())
        .addColumn("ended_at", "text")
        .execute();
      await db.schema.createIndex("runs_owner").on("runs").columns(["owner", "id"]).execute();
      await db.schema.createIndex("runs_ended").on("runs").column("ended_at").execute();

      await db.schema
        .createTable("schedules")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("owner", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("webhook_secret", "text")
        .addColumn("scope", "text")
        .addColumn("overlap", "text", (column) => column.notNull())
        .addColumn("next_due_ms", "integer")
        .addColumn("failures", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("created_at", "text", (column) => column.notNull())
        .addColumn("updated_at", "text", (column) => column.notNull())
        .addUniqueConstraint("schedules_owner_name", ["owner", "name"])
        .execute();
      await db.schema
        .createIndex("schedules_due")
        .on("schedules")
        .column("next_due_ms")
        .where(sql.ref("next_due_ms"), "is not", null)
        .execute();

      await db.schema
        .createTable("jobs")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("schedule_id", "text", (column) =>
          column.notNull().references("schedules.id").onDelete("cascade"),
        )
        .addColumn("trigger", "text", (column) => column.notNull())
        .addColumn("due_ms", "integer", (column) => column.notNull())
        .addColumn("not_before_ms", "integer", (column) => column.notNull())
        .addColumn("made_up", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("attempts", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("holder", "text")
        .addColumn("renewed_ms", "integer")
        .addColumn("cancel_asked", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("started_ms", "integer")
        .addColumn("lag_ms", "integer")
        .addColumn("ended_ms", "integer")
        .addColumn("run", "text")
        .addColumn("exit_code", "integer")
        .addColumn("error", "text")
        .addColumn("reason", "text")
        .addColumn("notify_status", "text")
        .addColumn("notify_due_ms", "integer")
        .addColumn("notify_attempts", "integer", (column) => column.notNull().defaultTo(0))
        .addColumn("notify_error", "text")
        .execute();
      // Each time that a schedule is due makes one job, whoever finds it due.
      await db.schema
        .createIndex("jobs_due")
        .unique()
        .on("jobs")
        .columns(["schedule_id", "due_ms"])
        .where(sql.ref("trigger"), "=", sql.lit("due"))
        .execute();
      await db.schema
        .createIndex("jobs_schedule")
        .on("jobs")
        .columns(["schedule_id", "due_ms", "id"])
        .execute();
      await db.schema
        .createIndex("jobs_open_of")
        .on("jobs")
        .columns(["schedule_id", "status"])
        .where(isOpen)
        .execute();
      await db.schema
        .createIndex("jobs_open")
        .on("jobs")
        .columns(["status", "not_before_ms"])
        .where(isOpen)
        .execute();
      await db.schema
        .createIndex("jobs_notify")
        .on("jobs")
        .column("notify_due_ms")
        .where(sql.ref("notify_due_ms"), "is not", null)
        .execute();
    },
  },
};

export const LATEST_MIGRATION = Object.keys(migrations).sort().at(-1) ?? "";

export const migrationProvider: MigrationProvider = {
  getMigrations: async () => ({ ...migrations }),
};

/** SQLite takes an index with this for `status = 'pending'`, but not one with `in`. */
const isOpen = sql<SqlBool>`status = 'pending' or status = 'running'`;

interface ScriptsBefore {
  scripts: {
    owner: string;
    name: string;
    description: string;
    language: string;
    source: string;
    updated_at: string;
  };
  script_versions: ScriptVersionTable;
}

/** What scripts were before they had versions becomes the first version of each. */
async function keepFirstVersions(db: Kysely<ScriptsBefore>): Promise<void> {
  const scripts = await db.selectFrom("scripts").selectAll().execute();
  for (const { owner, name, description, language, source, updated_at } of scripts) {
    await db
      .insertInto("script_versions")
      .values({
        ...{ owner, name, version: 1, description, language, source },
        ...{ kind: "script", tool: 0, inputs: null, sha256: sha256Of(source) },
        ...{ created_at: updated_at, created_by: owner },
      })
      .execute();
  }
}

function sha256Of(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
