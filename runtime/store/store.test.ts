import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore } from "./store.js";

const here = fileURLToPath(new URL(".", import.meta.url));

describe("openStore", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "spaces-store-"));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  it("makes the data directory for its owner alone", async () => {
    const store = await openStore(join(dir, "deep", "data"));
    await store.destroy();
    expect((await stat(join(dir, "deep", "data"))).mode & 0o777).toBe(0o700);
  });

  it("opens at once in many connections, and migrates once", async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => openStore(dir)));
    for (const store of stores) {
      expect(await store.selectFrom("spaces").selectAll().execute()).toEqual([]);
      await store.destroy();
    }
  });

  it("leaves a store alone that a newer version has changed", async () => {
    const store = await openStore(dir);
    await sql`insert into kysely_migration values ('9999-later', '2100-01-01')`.execute(store);
    await store.destroy();
    await expect(openStore(dir)).rejects.toMatchObject({
      name: "StoreError",
      reason: "a newer version of spaces has changed it",
    });
  });

  it("commits what it did after it has waited for another's lock", async () => {
    const [one, two] = [await openStore(dir), await openStore(dir)];
    for (let turn = 0; turn < 10; turn++) {
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const add = (id: string) => ({ id: `${turn}-${id}`, created_at: "" });
      const first = one.transaction().execute(async (store) => {
        await store.insertInto("installation").values(add("one")).execute();
        await held;
      });
      const second = two.transaction().execute(async (store) => {
        await store.insertInto("installation").values(add("two")).execute();
      });
      const third = two.insertInto("installation").values(add("three")).execute();
      setTimeout(release, 1);
      await Promise.all([first, second, third]);
      // Seen by the other connection: committed, and no lock held.
      await one.insertInto("installation").values(add("four")).execute();
    }
    expect(await one.selectFrom("installation").selectAll().execute()).toHaveLength(40);
    await one.destroy();
    await two.destroy();
  });

  it("loses no write of several processes at once", async () => {
    await (await openStore(dir)).destroy();
    const writer = join(here, `.writer-${process.pid}.mjs`);
    await build({
      stdin: {
        contents: `
          import { openStore } from "./store.js";
          const store = await openStore(process.argv[2]);
          for (let i = 0; i < 200; i++) {
            const id = process.argv[3] + "-" + i;
            if (i % 2) await store.insertInto("installation").values({ id, created_at: "" }).execute();
            else await store.transaction().execute(async (tx) => {
              await tx.selectFrom("installation").selectAll().limit(1).execute();
              await tx.insertInto("installation").values({ id, created_at: "" }).execute();
            });
          }
          await store.destroy();`,
        resolveDir: here,
        loader: "ts",
      },
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      outfile: writer,
    });
    try {
      const writers = [1, 2, 3, 4].map((number) =>
        spawn(process.execPath, [writer, dir, String(number)], { stdio: "inherit" }),
      );
      const codes = await Promise.all(
        writers.map(async (child) => (await once(child, "close"))[0]),
      );
      expect(codes).toEqual([0, 0, 0, 0]);
    } finally {
      await rm(writer, { force: true });
    }
    const store = await openStore(dir);
    expect(await store.selectFrom("installation").selectAll().execute()).toHaveLength(800);
    await store.destroy();
  });
});
