/** Stores that an earlier version has made go on being usable. */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kysely, Migrator, sql } from "kysely";
import Database from "libsql";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LibsqlDialect } from "./dialect.js";
import { migrationProvider } from "./migrations.js";
import { openStore } from "./store.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "spaces-migrations-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

interface ScriptsBefore {
  scripts: {
    owner: string;
    name: string;
    description: string;
    language: string;
    source: string;
    created_at: string;
    updated_at: string;
  };
}

/** A store as it was before scripts had versions. */
async function storeBeforeVersions(scripts: readonly ScriptsBefore["scripts"][]): Promise<void> {
  const db = new Kysely<ScriptsBefore>({
    dialect: new LibsqlDialect(new Database(join(dir, "spaces.db"))),
  });
  const migrator = new Migrator({ db, provider: migrationProvider });
  const { error } = await migrator.migrateTo("0004-kept-answers");
  expect(error).toBeUndefined();
  for (const script of scripts) await db.insertInto("scripts").values(script).execute();
  await db.destroy();
}

const script = (name: string, source: string, owner = "usr_1"): ScriptsBefore["scripts"] => ({
  ...{ owner, name, source, description: `what ${name} does`, language: "typescript" },
  ...{ created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-02-02T00:00:00.000Z" },
});

it("keeps what scripts were before they had versions as the first version of each", async () => {
  const big = `// ${"ü".repeat(500_000)}`;
  await storeBeforeVersions([
    script("one", "console.log(1);"),
    script("one", "console.log('other');", "usr_2"),
    script("big", big),
    script("odd", "/*---\nthis: [is no header\n---*/ \0 \ud800"),
  ]);
  const store = await openStore(dir);
  const versions = await store
    .selectFrom("scripts")
    .innerJoin("script_versions", (join) =>
      join
        .onRef("script_versions.owner", "=", "scripts.owner")
        .onRef("script_versions.name", "=", "scripts.name")
        .onRef("script_versions.version", "=", "scripts.version"),
    )
    .selectAll("script_versions")
    .select("scripts.created_at as first")
    .orderBy("scripts.name")
    .orderBy("scripts.owner")
    .execute();
  expect(versions.map(({ owner, name }) => `${owner} ${name}`)).toEqual([
    "usr_1 big",
    "usr_1 odd",
    "usr_1 one",
    "usr_2 one",
  ]);
  expect(versions[0]?.source).toBe(big);
  expect(versions[2]).toMatchObject({
    version: 1,
    description: "what one does",
    language: "typescript",
    kind: "script",
    tool: 0,
    inputs: null,
    sha256: createHash("sha256").update("console.log(1);").digest("hex"),
    first: "2026-01-01T00:00:00.000Z",
    created_at: "2026-02-02T00:00:00.000Z",
    created_by: "usr_1",
  });
  await store.deleteFrom("scripts").where("owner", "=", "usr_1").execute();
  expect(await store.selectFrom("script_versions").select("owner").execute()).toEqual([
    { owner: "usr_2" },
  ]);
  await store.destroy();
});

it("migrates once when several processes open an old store at once", async () => {
  await storeBeforeVersions(Array.from({ length: 20 }, (_, n) => script(`s${n}`, `${n}`)));
  const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(dir)));
  for (const store of stores) {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from script_versions`.execute(store);
    expect(rows).toEqual([{ count: 20 }]);
    await store.destroy();
  }
});
