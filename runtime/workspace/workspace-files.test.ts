/** The files of a workspace where only the host can make what is bad: huge, deep, full, killed. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { codeOf } from "../../test/support/error-code.js";
import { emptyDirectory } from "../guest/empty-directory.js";
import { WorkspaceFiles } from "./workspace-files.js";

const root = process.getuid?.() === 0;

let base: string;
let workspace: string;
let files: WorkspaceFiles;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "workspace-files-")));
  workspace = join(base, "workspace");
  mkdirSync(workspace);
  files = new WorkspaceFiles(workspace, "/workspace");
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

const text = async (path: string) =>
  (await files.read({ path, encoding: "utf8", offset: 0 })).content;
const bytesOf = async (body: ReadableStream<Uint8Array>) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
};
const openHandles = () => readdirSync("/proc/self/fd").length;

/** A chain of directories named `d`, made from within so that no path is too long. */
function makeDeep(depth: number): void {
  const before = process.cwd();
  process.chdir(workspace);
  for (let level = 0; level < depth; level++) {
    mkdirSync("d");
    process.chdir("d");
  }
  process.chdir(before);
}

describe("a huge directory", () => {
  // More than a page keeps in memory.
  const COUNT = 12_000;
  it("is listed page by page, in order, and leaves the event loop its turns", async () => {
    mkdirSync(join(workspace, "huge"));
    for (let index = 0; index < COUNT; index++) {
      closeSync(openSync(join(workspace, "huge", `f${(index * 7919) % COUNT}`), "w"));
    }
    let turns = 0;
    const turning = setInterval(() => {
      turns += 1;
    }, 1);
    for (const recursive of [false, true]) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await files.list({ path: "huge", recursive, cursor });
        seen.push(...page.items.map(({ name }) => name));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      expect(seen).toHaveLength(COUNT);
      expect(seen).toEqual([...new Set(seen)].sort());
    }
    clearInterval(turning);
    expect(turns).toBeGreaterThan(10);
    await files.remove({ path: "huge", recursive: true });
    expect(readdirSync(workspace)).toEqual([]);
  });
});

describe("a tree deeper than a path can be long", { skip: process.platform !== "linux" }, () => {
  const DEPTH = 10_000;
  afterEach(() => emptyDirectory(workspace));

  it("is listed as far as paths reach, copied, and removed", async () => {
    makeDeep(DEPTH);
    const before = openHandles();
    let count = 0;
    let cursor: string | undefined;
    do {
      const page = await files.list({ recursive: true, cursor });
      count += page.items.length;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(count).toBe((4096 - "/workspace".length) / 2);
    await files.copy({ from: "d", to: "copy", recursive: true });
    await files.remove({ path: "d", recursive: true });
    await files.remove({ path: "copy", recursive: true });
    expect(readdirSync(workspace)).toEqual([]);
    expect(openHandles()).toBe(before);
  });
});

describe("writing", () => {
  it("hides what is being written, and removes what a killed writer left an hour ago", async () => {
    const stale = ".spaces-00000000-0000-4000-8000-000000000000.part";
    const fresh = ".spaces-00000000-0000-4000-8000-000000000001.part";
    for (const name of [stale, fresh]) writeFileSync(join(workspace, name), "half");
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(join(workspace, stale), longAgo, longAgo);
    expect((await files.list({})).items).toEqual([]);
    await files.write({ path: "a", content: "x" });
    expect(readdirSync(workspace).sort()).toEqual([fresh, "a"]);
  });

  it("gives files and directories to the owner of the workspace", { skip: !root }, async () => {
    execFileSync("chown", ["12345:23456", workspace]);
    await files.write({ path: "a/b/c", content: "x" });
    await files.copy({ from: "a", to: "d", recursive: true });
    await files.mkdir({ path: "e" });
    for (const path of ["a", "a/b", "a/b/c", "d", "d/b", "d/b/c", "e"]) {
      const { uid, gid } = statSync(join(workspace, path));
      expect({ path, uid, gid }).toEqual({ path, uid: 12345, gid: 23456 });
    }
  });

  it("leaves a file outside alone that has a hard link inside", async () => {
    const outside = join(base, "outside");
    writeFileSync(outside, "outside");
    for (const name of ["written", "appended"]) linkSync(outside, join(workspace, name));
    await files.write({ path: "written", content: "new" });
    await files.write({ path: "appended", content: "+", append: true });
    expect(readFileSync(outside, "utf8")).toBe("outside");
    expect([await text("written"), await text("appended")]).toEqual(["new", "outside+"]);
  });

  it("makes directories on the way also behind a symlink, never outside", async () => {
    symlinkSync("real/deep", join(workspace, "link"));
    symlinkSync(base, join(workspace, "out"));
    await files.write({ path: "link/er/a", content: "x" });
    expect(readFileSync(join(workspace, "real/deep/er/a"), "utf8")).toBe("x");
    expect(await codeOf(files.write({ path: "out/new/a", content: "x" }))).toBe("PATH_DENIED");
    expect(readdirSync(base)).toEqual(["workspace"]);
  });

  it("merges two names of one file when one is moved onto the other", async () => {
    writeFileSync(join(workspace, "a"), "x");
    linkSync(join(workspace, "a"), join(workspace, "b"));
    await files.move({ from: "a", to: "b", overwrite: true });
    expect(readdirSync(workspace)).toEqual(["b"]);
  });

  it("does without permission bits that forbid it", async () => {
    writeFileSync(join(workspace, "a"), "old");
    chmodSync(join(workspace, "a"), 0o444);
    expect(await files.write({ path: "a", content: "new" })).toMatchObject({ mode: 0o444 });
    expect(await text("a")).toBe("new");
  });
});

describe("what is strange", () => {
  it("shows times that no date can be, and sockets, and opens neither", async () => {
    const server = createServer().listen(join(workspace, "socket"));
    await once(server, "listening");
    expect(await files.stat({ path: "socket", hash: true })).toMatchObject({ type: "other" });
    expect(await codeOf(text("socket"))).toBe("PATH_DENIED");
    expect(await codeOf(files.write({ path: "socket", content: "" }))).toBe("PATH_DENIED");
    server.close();
    writeFileSync(join(workspace, "old"), "");
    utimesSync(join(workspace, "old"), -1e10, -1e10);
    expect((await files.stat({ path: "old" })).modifiedAt).toMatch(/^-?\d+-\d\d-\d\dT/);
  });

  it("stops at a signal, in the middle of hashing and copying", async () => {
    const sparse = openSync(join(workspace, "sparse"), "w");
    ftruncateSync(sparse, 2 ** 40);
    closeSync(sparse);
    for (const call of [
      (signal: AbortSignal) => files.stat({ path: "sparse", hash: true }, { signal }),
      (signal: AbortSignal) => files.download({ path: "sparse", offset: 0 }, { signal }),
    ]) {
      const aborter = new AbortController();
      const called = codeOf(call(aborter.signal));
      setImmediate(() => aborter.abort());
      expect(await called).toBe("CANCELLED");
    }
    expect(await codeOf(files.stat({ path: "sparse" }))).toBe("none");
  });
});

describe("a download", () => {
  const big = Buffer.alloc(1_000_000, "abcdefgh");
  beforeEach(() => writeFileSync(join(workspace, "big"), big));
  const start = () => files.download({ path: "big", offset: 0 });

  it("fails when the file is changed after its hash was told", async () => {
    const changed = await start();
    const handle = openSync(join(workspace, "big"), "r+");
    writeFileSync(handle, "X");
    closeSync(handle);
    expect(await codeOf(bytesOf(changed.body))).toBe("CONFLICT");
    const shortened = await start();
    truncateSync(join(workspace, "big"), 10);
    expect(await codeOf(bytesOf(shortened.body))).toBe("CONFLICT");
  });

  it("gives what the file was when it grows or is replaced", async () => {
    const grown = await start();
    writeFileSync(join(workspace, "big"), "more", { flag: "a" });
    expect((await bytesOf(grown.body)).equals(big)).toBe(true);
    const replaced = await start();
    await files.write({ path: "big", content: "other" });
    expect(await bytesOf(replaced.body)).toHaveLength(big.length + 4);
  });

  it("closes its file when it is cancelled, aborted or read", async () => {
    const before = openHandles();
    await (await start()).body.cancel();
    await bytesOf((await start()).body);
    const aborter = new AbortController();
    const { body } = await files.download({ path: "big", offset: 0 }, aborter);
    aborter.abort();
    expect(await codeOf(bytesOf(body))).toBe("CANCELLED");
    await expect.poll(openHandles).toBe(before);
  });
});

describe("on a disk of its own", { skip: !root }, () => {
  beforeEach(() => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", workspace]);
  });
  afterEach(() => {
    execFileSync("umount", [workspace]);
  });

  it("says that it is full, and leaves all as it was", async () => {
    writeFileSync(join(workspace, "kept"), "k".repeat(1000));
    writeFileSync(join(workspace, "large"), Buffer.alloc(700_000));
    const content = "x".repeat(600_000);
    const stream = new Blob([content]).stream() as ReadableStream;
    expect(await codeOf(files.write({ path: "kept", content }))).toBe("DISK_FULL");
    expect(await codeOf(files.write({ path: "kept", content, append: true }))).toBe("DISK_FULL");
    expect(await codeOf(files.upload({ path: "kept" }, stream))).toBe("DISK_FULL");
    expect(await codeOf(files.copy({ from: "large", to: "copy" }))).toBe("DISK_FULL");
    expect(await text("kept")).toBe("k".repeat(1000));
    expect(readdirSync(workspace).sort()).toEqual(["kept", "large"]);
    await files.remove({ path: "large" });
    expect(await files.write({ path: "kept", content })).toMatchObject({ size: 600_000 });
  });
});

describe("killed while it uploads", () => {
  it("leaves the old file, and nothing that a list shows", async () => {
    writeFileSync(join(workspace, "file"), "old");
    const program = join(base, "upload.mjs");
    await build({
      stdin: {
        contents: `
          import { WorkspaceFiles } from "./workspace-files.ts";
          const body = new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); } });
          await new WorkspaceFiles(process.argv[2], "/workspace").upload({ path: "file" }, body);`,
        resolveDir: import.meta.dirname,
      },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20.19",
      outfile: program,
      logLevel: "error",
    });
    const child = spawn(process.execPath, [program, workspace], { stdio: "inherit" });
    await expect.poll(() => readdirSync(workspace)).toHaveLength(2);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect((await files.list({})).items.map(({ name }) => name)).toEqual(["file"]);
    expect(await text("file")).toBe("old");
    expect(existsSync(join(workspace, "file"))).toBe(true);
  });
});
