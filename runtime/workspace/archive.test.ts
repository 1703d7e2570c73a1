/** Archives of a workspace: what is put in comes out again as it was. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { codeOf } from "../../test/support/error-code.js";
import { treeOf } from "../../test/support/tree.js";
import { WorkspaceFiles } from "./workspace-files.js";

let base: string;
let from: string;
let into: string;
let source: WorkspaceFiles;
let target: WorkspaceFiles;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "spaces-archive-")));
  [from, into] = [join(base, "from"), join(base, "into")];
  mkdirSync(from);
  mkdirSync(into);
  source = new WorkspaceFiles(from, "/workspace");
  target = new WorkspaceFiles(into, "/workspace");
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

const plain = { exclude: [], overwrite: false };
const archive = (more: Partial<Parameters<WorkspaceFiles["archive"]>[0]> = {}) =>
  source.archive({ to: "a.tgz", ...plain, ...more }, target);
const extract = (more: Partial<Parameters<WorkspaceFiles["extract"]>[0]> = {}) =>
  target.extract({ from: "a.tgz", path: "out", overwrite: false, clean: false, ...more }, target);
const put = (path: string, content: string | Buffer = path): void => {
  mkdirSync(join(from, path, ".."), { recursive: true });
  writeFileSync(join(from, path), content);
};

/** Files, directories and links of many kinds. */
function fillSource(): void {
  put("plain.txt", "text\n");
  put("bytes", Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 251)));
  put("empty", "");
  put("large", Buffer.alloc(3_000_000, "0123456789abc"));
  put("script.sh", "#!/bin/sh\n");
  chmodSync(join(from, "script.sh"), 0o755);
  put("secret", "s");
  chmodSync(join(from, "secret"), 0o600);
  put("deep/er/file", "deep");
  mkdirSync(join(from, "hollow"));
  chmodSync(join(from, "hollow"), 0o750);
  put(`grüße/日本語-🎉/${"ü".repeat(120)}`, "names");
  put(`${"long/".repeat(60)}${"n".repeat(255)}`, "long");
  put("new\nline and space", "odd");
  put(".hidden", "dot");
  symlinkSync("plain.txt", join(from, "link"));
  symlinkSync("/usr/bin/env", join(from, "out"));
  symlinkSync("../../nowhere", join(from, "broken"));
  symlinkSync("deep", join(from, "to-directory"));
  symlinkSync(`${"far/".repeat(70)}grüße`, join(from, "long-target"));
  utimesSync(join(from, "plain.txt"), 1_000_000_000.5, 1_000_000_000.25);
  utimesSync(join(from, "empty"), 5_000_000_000, 5_000_000_000);
  utimesSync(join(from, "hollow"), 1_200_000_000, 1_200_000_000);
}

describe("archive and extract", () => {
  it("give back content, modes, times, symlinks and names exactly", async () => {
    fillSource();
    const made = await archive();
    const bytes = readFileSync(join(into, "a.tgz"));
    expect(made).toMatchObject({ path: "/workspace/a.tgz", size: bytes.length, skipped: [] });
    expect(made.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(lstatSync(join(into, "a.tgz")).mode & 0o777).toBe(0o600);
    const extracted = await extract();
    expect(extracted).toEqual({ entries: made.entries, bytes: made.bytes, skipped: [] });
    expect(treeOf(join(into, "out"))).toEqual(treeOf(from));
  });

  it("write what tar reads, and read what tar writes", async () => {
    fillSource();
    await archive();
    mkdirSync(join(base, "by-tar"));
    execFileSync("tar", ["-xpf", join(into, "a.tgz"), "-C", join(base, "by-tar")]);
    expect(treeOf(join(base, "by-tar"))).toEqual(treeOf(from));
    for (const format of ["gnu", "posix"]) {
      const made = ["-C", from, `--format=${format}`, "-cf", join(into, `${format}.tar`), "."];
      execFileSync("tar", made);
      await extract({ from: `${format}.tar`, path: format });
      expect(treeOf(join(into, format), "seconds")).toEqual(treeOf(from, "seconds"));
    }
  });

  it("leave out what the globs say, with all that is below it", async () => {
    for (const path of ["keep", "node_modules/a/b", "src/a.log", "src/a.ts", "src/deep/b.log"]) {
      put(path);
    }
    await archive({ exclude: ["node_modules", "**/*.log"] });
    await extract();
    expect(Object.keys(treeOf(join(into, "out")))).toEqual(["keep", "src", "src/a.ts", "src/deep"]);
  });

  it("archive a directory of the workspace, in one and the same space", async () => {
    put("src/a", "1");
    put("other", "2");
    await source.archive({ path: "src", to: "src/self.tgz", ...plain }, source);
    // Also where the archive is there from before.
    const again = { path: "src", to: "src/self.tgz", exclude: [], overwrite: true };
    expect(await source.archive(again, source)).toMatchObject({ entries: 1, bytes: 1 });
    await source.extract(
      { from: "src/self.tgz", path: "copy", overwrite: false, clean: false },
      source,
    );
    expect(Object.keys(treeOf(join(from, "copy")))).toEqual(["a"]);
  });

  it("keep hard links of files to each other", async () => {
    put("a/one", "shared");
    linkSync(join(from, "a/one"), join(from, "two"));
    await archive();
    await extract();
    expect(lstatSync(join(into, "out/two")).ino).toBe(lstatSync(join(into, "out/a/one")).ino);
  });

  it("tell of sockets and FIFOs, and put in the rest", async () => {
    put("file");
    execFileSync("mkfifo", [join(from, "fifo")]);
    const server = createServer().listen(join(from, "socket"));
    try {
      expect(await archive()).toMatchObject({
        entries: 1,
        skipped: ["fifo: it is a FIFO", "socket: it is a socket"],
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("tell of names that are no text", async () => {
    put("file");
    writeFileSync(Buffer.from(`${from}/bad-\xff`, "latin1"), "");
    expect(await archive()).toMatchObject({
      entries: 1,
      skipped: ["bad-\uFFFD: its name is no text"],
    });
  });

  it("carry files with holes, and leave holes", async () => {
    put("sparse", "begin");
    truncateSync(join(from, "sparse"), 256 * 1024 * 1024);
    const { size, bytes } = await archive();
    expect(bytes).toBe(256 * 1024 * 1024);
    expect(size).toBeLessThan(1024 * 1024);
    await extract();
    const found = lstatSync(join(into, "out/sparse"));
    expect(found.size).toBe(256 * 1024 * 1024);
    expect(found.blocks * 512).toBeLessThan(1024 * 1024);
  });

  it("replace an archive, and files, only with overwrite", async () => {
    put("a", "new");
    await archive();
    expect(await codeOf(archive())).toBe("FILE_EXISTS");
    await archive({ overwrite: true });
    mkdirSync(join(into, "out"));
    writeFileSync(join(into, "out/a"), "old", { mode: 0o600 });
    writeFileSync(join(into, "out/b"), "other");
    expect(await codeOf(extract())).toBe("FILE_EXISTS");
    expect(readFileSync(join(into, "out/a"), "utf8")).toBe("old");
    await extract({ overwrite: true });
    expect(readFileSync(join(into, "out/a"), "utf8")).toBe("new");
    expect(lstatSync(join(into, "out/a")).mode & 0o777).toBe(
      lstatSync(join(from, "a")).mode & 0o777,
    );
    expect(existsSync(join(into, "out/b"))).toBe(true);
  });

  it("write nothing at all where one file of many exists", async () => {
    for (const name of ["a", "b", "z"]) put(name);
    await archive();
    mkdirSync(join(into, "out"));
    writeFileSync(join(into, "out/z"), "old");
    expect(await codeOf(extract())).toBe("FILE_EXISTS");
    expect(readdirSync(join(into, "out"))).toEqual(["z"]);
  });

  it("clean the directory first", async () => {
    put("a");
    await archive();
    mkdirSync(join(into, "out/old/deep"), { recursive: true });
    writeFileSync(join(into, "out/a"), "old");
    await extract({ clean: true });
    expect(Object.keys(treeOf(join(into, "out")))).toEqual(["a"]);
  });

  it("do not clean away the archive itself", async () => {
    put("a");
    await archive();
    expect(await codeOf(extract({ path: ".", clean: true }))).toBe("INVALID_INPUT");
    expect(readdirSync(into)).toEqual(["a.tgz"]);
    await extract({ path: "." });
    expect(readdirSync(into)).toEqual(["a", "a.tgz"]);
  });

  it("restore a workspace whole from another one", async () => {
    fillSource();
    await archive();
    const before = treeOf(from);
    rmSync(join(from, "deep"), { recursive: true });
    put("plain.txt", "changed");
    put("added");
    await source.extract({ from: "a.tgz", overwrite: false, clean: true }, target);
    expect(treeOf(from)).toEqual(before);
  });

  it("do nothing for a directory that is not there, or is none", async () => {
    put("file");
    expect(await codeOf(archive({ path: "none" }))).toBe("FILE_NOT_FOUND");
    expect(await codeOf(archive({ path: "file" }))).toBe("WRONG_FILE_TYPE");
    expect(await codeOf(archive({ path: ".." }))).toBe("PATH_DENIED");
    expect(await codeOf(archive({ to: "../a" }))).toBe("PATH_DENIED");
    expect(await codeOf(extract())).toBe("FILE_NOT_FOUND");
    expect(readdirSync(into)).toEqual([]);
  });

  it("leave nothing behind when they are cancelled", async () => {
    put("large", Buffer.alloc(20_000_000, 1));
    await archive();
    const aborted = { signal: AbortSignal.abort() };
    const over = { to: "a.tgz", exclude: [], overwrite: true };
    expect(await codeOf(source.archive(over, target, aborted))).toBe("CANCELLED");
    const request = { from: "a.tgz", path: "out", overwrite: false, clean: false };
    expect(await codeOf(target.extract(request, target, aborted))).toBe("CANCELLED");
    expect(readdirSync(into)).toEqual(["a.tgz"]);
    // Under way, in the midst of a file.
    const controller = new AbortController();
    const running = source.archive(over, target, { signal: controller.signal });
    setImmediate(() => controller.abort());
    expect(await codeOf(running)).toBe("CANCELLED");
    expect(readdirSync(into)).toEqual(["a.tgz"]);
  });

  it("follow a symlink inside to the directory, and none that leads out", async () => {
    put("real/a");
    symlinkSync("real", join(from, "way"));
    symlinkSync("/", join(from, "away"));
    expect(await archive({ path: "way" })).toMatchObject({ entries: 1 });
    expect(await codeOf(archive({ path: "away", overwrite: true }))).toBe("PATH_DENIED");
    expect(readlinkSync(join(from, "way"))).toBe("real");
  });
});
