/** Copies to this machine from a source that lies about its names, its types and its bytes. */
import { createHash } from "node:crypto";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Content,
  type CopySession,
  copy,
  type Entry,
  type EntryType,
  type Source,
} from "./copy.js";
import { LocalSource, LocalTarget } from "./copy-local.js";
import { checkLocalName } from "./local-names.js";
import { Output } from "./output.js";

let home: string;
let session: CopySession;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "spaces-copy-"));
  const silent = () => ({ write: () => true });
  const flags = { json: true, quiet: true, color: false };
  const output = new Output(flags, { stdout: silent, stderr: silent, env: {} });
  session = { signal: new AbortController().signal, output, exitCode: 0 };
});
afterEach(() => rm(home, { recursive: true, force: true }));

interface Hostile {
  readonly segments: readonly string[];
  readonly type?: EntryType;
  readonly mode?: number;
  readonly text?: string;
  /** What it says that its hash is. */
  readonly sha256?: string;
  /** Ends in the middle with this. */
  readonly failure?: Error;
}

/** A tree with these entries, whatever they are. */
function hostile(entries: readonly Hostile[], root: EntryType = "directory"): Source {
  const textOf = (segments: readonly string[]) =>
    entries.find((entry) => entry.segments.join("/") === segments.join("/"));
  return {
    label: "dev:tree",
    name: undefined,
    describe: async (): Promise<Entry> => ({ segments: [], type: root }),
    async *entries() {
      for (const { segments, type = "file", mode } of entries) yield { segments, type, mode };
    },
    async open(segments): Promise<Content> {
      const { text = "", sha256, failure } = textOf(segments) ?? { segments };
      async function* chunks() {
        yield Buffer.from(text);
        if (failure !== undefined) throw failure;
      }
      return {
        chunks: chunks(),
        sha256: sha256 ?? createHash("sha256").update(text).digest("hex"),
        [Symbol.asyncDispose]: async () => undefined,
      };
    },
  };
}

const all = { recursive: true, overwrite: true };

describe("names that lead elsewhere", () => {
  it.each([
    [[".."]],
    [["..", "escaped"]],
    [["a", "..", "..", "escaped"]],
    [["."]],
    [[""]],
    [["", "escaped"]],
    [["../escaped"]],
    [["/escaped"]],
    [["a\0b"]],
  ])("%j is refused, and what is beside it is copied", async (segments) => {
    const target = join(home, "target");
    const tree = hostile([
      { segments: ["a"], type: "directory" },
      { segments, text: "gotcha" },
      { segments: ["good"], text: "good" },
    ]);
    const report = await copy(session, tree, new LocalTarget(target), all);
    expect(report.failed).toEqual([expect.objectContaining({ code: "PATH_DENIED" })]);
    expect(session.exitCode).toBe(1);
    expect(await readdir(home)).toEqual(["target"]);
    expect((await readdir(target)).sort()).toEqual(["a", "good"]);
    expect(await readdir(join(target, "a"))).toEqual([]);
  });

  it("may be odd as long as they are names", async () => {
    const names = ["a\nb", "\u001b[31mred", "-rf", "C:", "*", "CON", "…", "a\\..\\b", " "];
    const tree = hostile(names.map((name) => ({ segments: [name], text: name })));
    const report = await copy(session, tree, new LocalTarget(join(home, "target")), all);
    expect(report).toMatchObject({ files: names.length, failed: [] });
    expect((await readdir(join(home, "target"))).sort()).toEqual(names.sort());
  });

  it.each(["C:", "a:b", "a\\b", "con", "NUL.txt", "com1", "a.", "a ", "a?", "a\u0007"])(
    "%j is refused on Windows, where it means something else",
    (name) => {
      expect(checkLocalName(name, "linux")).toBe(name);
      expect(() => checkLocalName(name, "win32")).toThrow(
        expect.objectContaining({ code: "PATH_DENIED" }),
      );
    },
  );
});

describe("symlinks that are in the target already", () => {
  it("are not written through when they stand for a directory", async () => {
    await mkdir(join(home, "outside"));
    await mkdir(join(home, "target"));
    await symlink("../outside", join(home, "target", "a"));
    const tree = hostile([
      { segments: ["a"], type: "directory" },
      { segments: ["a", "file"], text: "gotcha" },
    ]);
    const report = await copy(session, tree, new LocalTarget(join(home, "target")), all);
    expect(report.failed.map(({ code }) => code)).toEqual(["PATH_DENIED", "PATH_DENIED"]);
    expect(await readdir(join(home, "outside"))).toEqual([]);
  });

  it("are replaced when they stand for a file", async () => {
    await writeFile(join(home, "outside"), "before");
    await mkdir(join(home, "target"));
    await symlink("../outside", join(home, "target", "a"));
    const tree = hostile([{ segments: ["a"], text: "new" }]);
    await copy(session, tree, new LocalTarget(join(home, "target")), all);
    expect(await readFile(join(home, "outside"), "utf8")).toBe("before");
    expect(await readFile(join(home, "target", "a"), "utf8")).toBe("new");
    await expect(readlink(join(home, "target", "a"))).rejects.toMatchObject({ code: "EINVAL" });
  });

  it("are never made, whatever the space has", async () => {
    const tree = hostile([
      { segments: ["link"], type: "symlink" },
      { segments: ["pipe"], type: "other" },
    ]);
    const report = await copy(session, tree, new LocalTarget(join(home, "target")), all);
    expect(report.skipped).toEqual([
      { path: "link", type: "symlink" },
      { path: "pipe", type: "other" },
    ]);
    expect(await readdir(join(home, "target"))).toEqual([]);
  });
});

describe("bytes that did not all arrive", () => {
  it("leave what was there, and nothing else", async () => {
    const path = join(home, "file");
    await writeFile(path, "before");
    const broken = [
      { segments: [], text: "half", failure: new Error("the connection was lost") },
      { segments: [], text: "changed", sha256: "0".repeat(64) },
    ];
    for (const entry of broken) {
      const copying = copy(session, hostile([entry], "file"), new LocalTarget(path), all);
      await expect(copying).rejects.toThrow(/connection was lost|changed on their way/);
      expect(await readFile(path, "utf8")).toBe("before");
      expect(await readdir(home)).toEqual(["file"]);
    }
  });

  it("fail one file of a tree when only its hash is wrong", async () => {
    const tree = hostile([
      { segments: ["bad"], text: "changed", sha256: "0".repeat(64) },
      { segments: ["good"], text: "good" },
    ]);
    const report = await copy(session, tree, new LocalTarget(join(home, "target")), all);
    expect(report).toMatchObject({ files: 1, bytes: 4 });
    expect(report.failed).toEqual([
      expect.objectContaining({ path: "bad", code: "HASH_MISMATCH" }),
    ]);
    expect(await readdir(join(home, "target"))).toEqual(["good"]);
  });
});

describe("what is in the way", () => {
  it("is kept with overwrite false, and a directory always", async () => {
    await writeFile(join(home, "file"), "before");
    await mkdir(join(home, "dir", "file"), { recursive: true });
    const file = hostile([{ segments: [], text: "new" }], "file");
    await expect(
      copy(session, file, new LocalTarget(join(home, "file")), { ...all, overwrite: false }),
    ).rejects.toMatchObject({ code: "FILE_EXISTS" });
    expect(await readFile(join(home, "file"), "utf8")).toBe("before");
    const tree = hostile([{ segments: ["file"], text: "new" }]);
    const report = await copy(session, tree, new LocalTarget(join(home, "dir")), all);
    expect(report.failed).toEqual([expect.objectContaining({ code: "WRONG_FILE_TYPE" })]);
  });

  it("lets no mode of a space lock the copy, nor carry more than permissions", async () => {
    const tree = hostile([
      { segments: ["locked"], type: "directory", mode: 0 },
      { segments: ["locked", "file"], text: "x", mode: 0o4600 },
    ]);
    const report = await copy(session, tree, new LocalTarget(join(home, "target")), all);
    expect(report).toMatchObject({ files: 1, failed: [] });
    expect((await stat(join(home, "target", "locked", "file"))).mode & 0o7777).toBe(0o600);
  });
});

describe("a tree of this machine", () => {
  it("is read without following symlinks or opening what is no file", async () => {
    await mkdir(join(home, "tree", "sub"), { recursive: true });
    await writeFile(join(home, "tree", "sub", "file"), "text");
    await writeFile(join(home, "secret"), "secret");
    await symlink("../secret", join(home, "tree", "link"));
    await symlink("..", join(home, "tree", "loop"));
    const source = new LocalSource(join(home, "tree"));
    const report = await copy(session, source, new LocalTarget(join(home, "copy")), all);
    expect(report).toMatchObject({ files: 1, directories: 2, bytes: 4 });
    expect(report.skipped.map(({ path }) => path)).toEqual(["link", "loop"]);
    await expect(source.open(["link"])).rejects.toMatchObject({ code: "PATH_DENIED" });
    await expect(source.open(["sub"])).rejects.toMatchObject({ code: "WRONG_FILE_TYPE" });
    expect(await readFile(join(home, "copy", "sub", "file"), "utf8")).toBe("text");
  });

  it("goes below a directory that exists, under its own name, or without it for dir/.", async () => {
    await mkdir(join(home, "tree"));
    await mkdir(join(home, "into"));
    await writeFile(join(home, "tree", "file"), "text");
    const into = new LocalTarget(join(home, "into"));
    await copy(session, new LocalSource(join(home, "tree")), into, all);
    await copy(session, new LocalSource(`${join(home, "tree")}/.`), into, all);
    expect((await readdir(join(home, "into"))).sort()).toEqual(["file", "tree"]);
  });
});
