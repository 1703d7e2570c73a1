/** How files are given to the user of a space; root alone can do that. */
import { link, lstat, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { giveTree, isRoot, uidOf } from "./host-user.js";

describe("the host's user of a space", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "spaces-user-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("is the same for a space at any time, and another for another space", () => {
    expect(uidOf("a", "b")).toBe(uidOf("a", "b"));
    const all = new Set(Array.from({ length: 100 }, (_, index) => uidOf("a", `space ${index}`)));
    expect(all.size).toBe(100);
    for (const uid of all) expect(uid).toBeGreaterThan(0x6fff_ffff);
  });

  it.skipIf(!isRoot())("owns all of its tree, but nothing that lies outside of it", async () => {
    const uid = uidOf("installation", "space");
    const tree = join(directory, "tree");
    const outside = join(directory, "outside");
    await mkdir(join(tree, "sub", "deep"), { recursive: true });
    await writeFile(join(tree, "sub", "deep", "file"), "");
    await mkdir(outside);
    await writeFile(join(outside, "file"), "");
    await link(join(outside, "file"), join(tree, "second-name"));
    await symlink(outside, join(tree, "link"));
    await giveTree(tree, uid);
    for (const path of ["", "sub", "sub/deep", "sub/deep/file", "link"]) {
      expect([path, (await lstat(join(tree, path))).uid]).toEqual([path, uid]);
    }
    expect((await stat(outside)).uid).toBe(0);
    expect((await stat(join(outside, "file"))).uid).toBe(0);
  });

  it.skipIf(!isRoot())("is given no directory through a symlink", async () => {
    await mkdir(join(directory, "real"));
    await symlink(join(directory, "real"), join(directory, "link"));
    await expect(giveTree(join(directory, "link"), 1)).rejects.toMatchObject({
      code: "DRIVER_FAILED",
    });
    expect((await stat(join(directory, "real"))).uid).toBe(0);
  });
});
