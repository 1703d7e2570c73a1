/** A store that is damaged, read-only, or on a full disk: a clear error, and nothing lost. */
import { execFileSync } from "node:child_process";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";

const root = process.getuid?.() === 0;

describe("a store that cannot be used", () => {
  let cli: CliHome;
  let data: string;
  beforeEach(async () => {
    cli = await CliHome.make();
    data = join(cli.home, "data");
  });
  afterEach(async () => {
    await rm(cli.home, { recursive: true, force: true });
  });

  const failure = async (args: readonly string[], env: Record<string, string> = {}) => {
    const result = await cli.run([...args, "--json"], { env });
    expect(result.code).toBe(125);
    expect(result.stdout).toBe("");
    return (JSON.parse(result.stderr) as { error: { code: string; message: string } }).error;
  };

  it("names a file that is no database, and leaves it as it is", async () => {
    await mkdir(data, { recursive: true });
    await writeFile(join(data, "spaces.db"), "not a database at all, just text".repeat(100));
    const error = await failure(["list"]);
    expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(error.message).toContain("not a database");
    expect(await readFile(join(data, "spaces.db"), "latin1")).toContain("just text");
  });

  it("names a damaged database", async () => {
    expect((await cli.run(["create", "a"])).code).toBe(0);
    const file = await open(join(data, "spaces.db"), "r+");
    await file.write(Buffer.alloc(20_000, 0xff), 0, 20_000, 100);
    await file.close();
    await rm(join(data, "spaces.db-wal"), { force: true });
    expect(await failure(["list"])).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  it("names a data directory whose path is a file", async () => {
    await writeFile(join(cli.home, "file"), "");
    const env = { SPACES_HOME: join(cli.home, "file", "data") };
    expect(await failure(["list"], env)).toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  describe("on a disk of its own", { skip: !root }, () => {
    let mounted: string;
    beforeEach(async () => {
      mounted = join(cli.home, "disk");
      await mkdir(mounted);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mounted]);
    });
    afterEach(() => {
      execFileSync("umount", [mounted]);
    });

    it("says that the disk is full, and works again once it is not", async () => {
      const env = { SPACES_HOME: join(mounted, "data") };
      expect((await cli.run(["create", "a"], { env })).code).toBe(0);
      const filler = join(mounted, "filler");
      await writeFile(filler, Buffer.alloc(1_048_576)).catch(() => undefined);
      const error = await failure(["create", "b"], env);
      expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect(error.message).toContain("disk is full");
      await rm(filler);
      expect((await cli.run(["create", "b"], { env })).code).toBe(0);
      const listed = await cli.run(["list", "--json"], { env });
      const { items } = JSON.parse(listed.stdout) as { items: { name: string }[] };
      expect(items.map((space) => space.name)).toEqual(["a", "b"]);
    });

    it("says that the disk is read-only", async () => {
      const env = { SPACES_HOME: join(mounted, "data") };
      expect((await cli.run(["create", "a"], { env })).code).toBe(0);
      execFileSync("mount", ["-o", "remount,ro", mounted]);
      const error = await failure(["create", "b"], env);
      expect(error).toMatchObject({ code: "STORE_UNAVAILABLE" });
      expect(error.message).toMatch(/read-only/);
    });
  });
});
