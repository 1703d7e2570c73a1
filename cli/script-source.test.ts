import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findScript, modulesBeside } from "./script-source.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spaces-script-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const noClient = () => Promise.reject(new Error("the store was opened"));
const { signal } = new AbortController();

describe("findScript", () => {
  it("reads a file without asking the store", async () => {
    const path = join(directory, "hello.ts");
    await writeFile(path, "1");
    const script = await findScript(path, noClient, signal);
    expect(script).toMatchObject({ filename: path, source: "1" });
  });

  it("says which file is missing", async () => {
    await expect(findScript("./gone", noClient, signal)).rejects.toMatchObject({
      code: "SCRIPT_NOT_FOUND",
      message: 'There is no file "./gone".',
    });
    await expect(findScript("gone.ts", noClient, signal)).rejects.toMatchObject({
      code: "SCRIPT_NOT_FOUND",
    });
  });

  it("asks the store for what looks like a name", async () => {
    await expect(findScript("stored", noClient, signal)).rejects.toThrow("the store was opened");
  });

  it.each(["", "a\0.js"])("refuses the name %j", async (name) => {
    await expect(findScript(name, noClient, signal)).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  it("refuses directories, files too large, binary files and scripts for other programs", async () => {
    await writeFile(join(directory, "large.js"), Buffer.alloc(1_048_577, 32));
    await writeFile(join(directory, "binary.js"), Buffer.from([0xff, 0xfe]));
    await writeFile(join(directory, "script.sh"), "#!/bin/sh\necho hi\n");
    for (const name of ["", "large.js", "binary.js", "script.sh"]) {
      await expect(findScript(`${directory}/${name}`, noClient, signal)).rejects.toMatchObject({
        code: "INVALID_INPUT",
      });
    }
  });
});

describe("modulesBeside", () => {
  it("reads files of the script's directory and below, and nothing else", async () => {
    const root = join(directory, "root");
    await mkdir(join(root, "lib"), { recursive: true });
    await writeFile(join(directory, "secret.js"), "secret");
    await writeFile(join(root, "lib", "a.js"), "a");
    await symlink(join(directory, "secret.js"), join(root, "link.js"));
    await symlink(directory, join(root, "up"));
    await symlink(join(root, "lib", "a.js"), join(root, "b.js"));
    await symlink("loop.js", join(root, "loop.js"));
    const read = modulesBeside(join(root, "main.js"));
    expect(await read("lib/a.js")).toBe("a");
    expect(await read("b.js")).toBe("a");
    for (const path of ["../secret.js", "link.js", "up/secret.js", "lib", "gone.js", "loop.js"]) {
      expect(await read(path)).toBeUndefined();
    }
  });
});
