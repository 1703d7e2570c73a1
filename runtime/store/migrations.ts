/** Forward-only migrations of the store, applied in the order of their names. */
import { type Kysely, type Migration, type MigrationProvider, sql } from "kysely";

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
};

export const LATEST_MIGRATION = Object.keys(migrations).sort().at(-1) ?? "";

export const migrationProvider: MigrationProvider = {
  getMigrations: async () => ({ ...migrations }),
};
