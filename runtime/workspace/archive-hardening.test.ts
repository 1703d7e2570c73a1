/** Archives that are made to do harm, and directories that change while they are archived. */
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { type Header, pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { codeOf } from "../../test/support/error-code.js";
import { treeOf } from "../../test/support/tree.js";
import { WorkspaceFiles } from "./workspace-files.js";

let base: string;
let workspace: string;
let files: WorkspaceFiles;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "spaces-hostile-")));
  workspace = join(base, "workspace");
  mkdirSync(join(workspace, "out"), { recursive: true });
  mkdirSync(join(base, "outside"));
  writeFileSync(join(base, "outside/secret"), "secret");
  files = new WorkspaceFiles(workspace, "/workspace");
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

type Entry = Partial<Header> & { readonly name: string; readonly content?: string };

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const made = pack();
  for (const { content, ...header } of entries) {
    if (content === undefined) made.entry(header);
    else made.entry(header, content);
  }
  made.finalize();
  return await buffer(made as AsyncIterable<Buffer>);
}

async function extract(
  archive: Buffer | readonly Entry[],
  more: Partial<Parameters<WorkspaceFiles["extract"]>[0]> = {},
) {
  const bytes = Buffer.isBuffer(archive) ? archive : await tarOf(archive);
  writeFileSync(join(workspace, "a.tar"), bytes);
  const request = { path: "out", from: "a.tar", overwrite: false, clean: false, ...more };
  return await files.extract(request, files);
}
const outside = () => treeOf(join(base, "outside"));
const extracted = () => Object.keys(treeOf(join(workspace, "out")));

/** The header of a file that claims a size, with nothing behind it. */
async function headerOf(name: string, size: number): Promise<Buffer> {
  const header = (await tarOf([{ name, content: "" }])).subarray(0, 512);
  // Sizes that do not fit in octal digits are written as a number of twelve bytes.
  if (size < 8 ** 11) header.write(`${size.toString(8).padStart(11, "0")} `, 124);
  else header.fill(0, 124, 136).writeBigUInt64BE(BigInt(size), 128);
  if (size >= 8 ** 11) header[124] = 0x80;
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

describe("a hostile archive", () => {
  it("writes nowhere but below the directory", async () => {
    const before = outside();
    const { entries, skipped } = await extract([
      { name: "../escaped", content: "x" },
      { name: "a/../../escaped", content: "x" },
      { name: "/tmp/spaces-escaped", content: "x" },
      { name: "./fine", content: "x" },
      { name: "..", type: "directory" },
      { name: ".", type: "directory", mode: 0 },
    ]);
    expect(entries).toBe(1);
    expect(skipped).toEqual([
      "../escaped: its name leads out of the directory",
      "a/../../escaped: its name leads out of the directory",
      "/tmp/spaces-escaped: its name is absolute",
      "..: its name leads out of the directory",
    ]);
    expect(extracted()).toEqual(["fine"]);
    expect(readdirSync(workspace).sort()).toEqual(["a.tar", "out"]);
    expect(outside()).toEqual(before);
    expect(existsSync("/tmp/spaces-escaped")).toBe(false);
  });

  it("writes through no symlink, be it the archive's own or one that was there", async () => {
    const before = outside();
    symlinkSync(join(base, "outside"), join(workspace, "out/there"));
    symlinkSync("../elsewhere", join(workspace, "out/inside"));
    mkdirSync(join(workspace, "elsewhere"));
    const { skipped } = await extract(
      [
        { name: "own", type: "symlink", linkname: join(base, "outside") },
        { name: "own/secret", content: "overwritten" },
        { name: "own/new/file", content: "x" },
        { name: "own/directory", type: "directory", mode: 0o777 },
        { name: "there/secret", content: "overwritten" },
        { name: "inside/file", content: "x" },
        { name: "own", type: "directory", mode: 0o777 },
        { name: "file", type: "symlink", linkname: join(base, "outside/secret") },
        { name: "file", content: "replaces the link" },
      ],
      { overwrite: true },
    );
    const why = "a symlink or a file is on its way";
    expect(skipped).toEqual([
      `own/secret: ${why}`,
      `own/new/file: ${why}`,
      `own/directory: ${why}`,
      `there/secret: ${why}`,
      `inside/file: ${why}`,
      "own: something that is no directory is there",
    ]);
    expect(outside()).toEqual(before);
    expect(readdirSync(join(workspace, "elsewhere"))).toEqual([]);
    expect(readFileSync(join(workspace, "out/file"), "utf8")).toBe("replaces the link");
  });

  it("makes hard links to nothing but files of the directory", async () => {
    symlinkSync(join(base, "outside"), join(workspace, "out/there"));
    symlinkSync(join(base, "outside/secret"), join(workspace, "out/link"));
    const { entries, skipped } = await extract([
      { name: "file", content: "x" },
      { name: "fine", type: "link", linkname: "file" },
      { name: "up", type: "link", linkname: "../a.tar" },
      { name: "absolute", type: "link", linkname: join(base, "outside/secret") },
      { name: "through", type: "link", linkname: "there/secret" },
      { name: "to-link", type: "link", linkname: "link" },
      { name: "missing", type: "link", linkname: "nothing" },
      { name: "self", type: "link", linkname: "." },
    ]);
    expect(entries).toBe(2);
    expect(skipped.map((note) => note.split(":")[0])).toEqual([
      "up",
      "absolute",
      "through",
      "to-link",
      "missing",
      "self",
    ]);
    expect(lstatSync(join(base, "outside/secret")).nlink).toBe(1);
    expect(lstatSync(join(workspace, "out/fine")).nlink).toBe(2);
  });

  it("writes into no file that shares its content with another name", async () => {
    writeFileSync(join(workspace, "kept"), "kept");
    const { linkSync } = await import("node:fs");
    linkSync(join(workspace, "kept"), join(workspace, "out/kept"));
    await extract([{ name: "kept", content: "new" }], { overwrite: true });
    expect(readFileSync(join(workspace, "kept"), "utf8")).toBe("kept");
    expect(readFileSync(join(workspace, "out/kept"), "utf8")).toBe("new");
  });

  it("makes no devices and FIFOs, and nothing that runs as its owner", async () => {
    const { skipped } = await extract([
      { name: "null", type: "character-device", devmajor: 1, devminor: 3 },
      { name: "disk", type: "block-device", devmajor: 8, devminor: 0 },
      { name: "fifo", type: "fifo" },
      { name: "setuid", content: "#!/bin/sh\n", mode: 0o6755, uid: 0, gid: 0 },
      { name: "directory", type: "directory", mode: 0o7777 },
    ]);
    expect(skipped).toEqual(["null: it is a device", "disk: it is a device", "fifo: it is a FIFO"]);
    expect(lstatSync(join(workspace, "out/setuid")).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(workspace, "out/directory")).mode & 0o7777).toBe(0o777);
  });

  it("has no names that are too long, or no text", async () => {
    const { entries, skipped } = await extract([
      { name: "n".repeat(256), content: "x" },
      { name: `${"d/".repeat(2100)}f`, content: "x" },
      { name: "half-\uFFFD", content: "x" },
      { name: ".spaces-00000000-0000-0000-0000-000000000000.part", content: "x" },
      { name: "link", type: "symlink", linkname: "half-\uFFFD" },
      { name: "fine", content: "x" },
    ]);
    expect(entries).toBe(1);
    expect(skipped).toHaveLength(5);
    expect(extracted()).toEqual(["fine"]);
  });

  it("replaces nothing by holding a name twice, unless it may", async () => {
    const twice = [
      { name: "a", content: "one" },
      { name: "./a", content: "two" },
    ];
    expect(await codeOf(extract(twice))).toBe("FILE_EXISTS");
    expect(extracted()).toEqual([]);
    await extract(twice, { overwrite: true });
    expect(readFileSync(join(workspace, "out/a"), "utf8")).toBe("two");
  });

  it("puts no file in the place of a directory, and the other way round", async () => {
    mkdirSync(join(workspace, "out/directory/full"), { recursive: true });
    writeFileSync(join(workspace, "out/file"), "kept");
    const entries = [
      { name: "directory", content: "x" },
      { name: "file", type: "directory" as const },
      { name: "file/below", content: "x" },
      { name: "last", content: "x" },
    ];
    expect(await codeOf(extract(entries))).toBe("FILE_EXISTS");
    const { skipped } = await extract(entries, { overwrite: true });
    expect(skipped).toEqual([
      "directory: a directory is there",
      "file: something that is no directory is there",
      "file/below: a symlink or a file is on its way",
    ]);
    expect(extracted()).toEqual(["directory", "directory/full", "file", "last"]);
  });

  it("is refused before anything is written when it is more than there is room for", async () => {
    const { bavail, bsize } = statfsSync(workspace);
    const room = bavail * bsize;
    const claims = await headerOf("bomb", room + 1e9);
    expect(await codeOf(extract(Buffer.concat([claims, Buffer.alloc(1 << 20)])))).toBe("DISK_FULL");
    // More than fits only together with what comes before.
    const before = await tarOf([{ name: "a", content: "a".repeat(1_000_000) }]);
    const rest = await headerOf("rest", room - 500_000);
    const both = Buffer.concat([before.subarray(0, -1024), rest, Buffer.alloc(4096)]);
    expect(await codeOf(extract(gzipSync(both)))).toBe("DISK_FULL");
    expect(await codeOf(extract(await headerOf("huge", Number.MAX_SAFE_INTEGER)))).toBe(
      "DISK_FULL",
    );
    expect(extracted()).toEqual([]);
  });

  it("fills neither memory nor disk with zeros", async () => {
    const size = 1024 ** 3;
    // Gzipped files may be put one behind the other.
    const part = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const bomb = Buffer.concat([
      gzipSync(await headerOf("zeros", size)),
      ...Array.from({ length: 16 }, () => part),
      gzipSync(Buffer.alloc(1024)),
    ]);
    const before = process.memoryUsage().rss;
    expect(await extract(bomb)).toEqual({ entries: 1, bytes: size, skipped: [] });
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
    const found = lstatSync(join(workspace, "out/zeros"));
    expect([found.size, found.blocks < 4096]).toEqual([size, true]);
  });

  it("is refused when it is cut off, also for a directory that is to be cleaned", async () => {
    writeFileSync(join(workspace, "out/kept"), "kept");
    const whole = await tarOf([
      { name: "a", content: "a".repeat(5000) },
      { name: "b", content: "b" },
    ]);
    const zipped = gzipSync(whole);
    const broken = [
      Buffer.alloc(0),
      Buffer.from("no archive at all"),
      randomBytes(4096),
      whole.subarray(0, 700),
      // At the end of an entry, where each part is whole.
      whole.subarray(0, 512 + 5120),
      whole.subarray(0, whole.length - 1024),
      zipped.subarray(0, zipped.length - 20),
      zipped.subarray(0, 15),
      Buffer.concat([zipped.subarray(0, 40), Buffer.alloc(40), zipped.subarray(80)]),
    ];
    for (const archive of broken) {
      expect(await codeOf(extract(archive, { clean: true, overwrite: true }))).toBe(
        "INVALID_INPUT",
      );
    }
    expect(extracted()).toEqual(["kept"]);
  });

  it("leaves nothing open", async () => {
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    await extract([{ name: "a/b/c/d", content: "x" }]);
    await codeOf(extract(Buffer.from("nothing")));
    await codeOf(extract([{ name: "a/b/c/d", content: "x" }]));
    expect(open()).toBe(before);
  });
});

describe("a directory that changes while it is archived", () => {
  const archive = () =>
    files.archive({ path: "out", to: "b.tgz", exclude: [], overwrite: true }, files);

  it("gives a whole archive when files grow, shrink, vanish and come", async () => {
    const out = join(workspace, "out");
    const large = join(out, "m-large");
    const content = randomBytes(40 * 1024 * 1024);
    writeFileSync(large, content);
    for (let n = 0; n < 50; n++) writeFileSync(join(out, `z-${n}`), "z");
    const steps = [
      () => truncateSync(large, 1000),
      () => appendFileSync(large, randomBytes(1024 * 1024)),
      () => rmSync(join(out, "z-1"), { force: true }),
      () => writeFileSync(join(out, "z-new"), "new"),
      () => writeFileSync(large, content),
    ];
    for (const step of steps) {
      writeFileSync(large, content);
      const running = archive();
      // In the midst of the large file: the archive is some way along.
      const part = () => readdirSync(workspace).find((name) => name.endsWith(".part"));
      await expect
        .poll(
          () => {
            const name = part();
            return name === undefined ? 0 : lstatSync(join(workspace, name)).size;
          },
          { interval: 1 },
        )
        .toBeGreaterThan(1_000_000);
      step();
      const made = await running;
      rmSync(join(workspace, "copy"), { recursive: true, force: true });
      const again = await files.extract(
        { from: "b.tgz", path: "copy", overwrite: false, clean: false },
        files,
      );
      expect([again.entries, again.bytes, again.skipped]).toEqual([made.entries, made.bytes, []]);
      expect(lstatSync(join(workspace, "copy/m-large")).size).toBe(content.length);
    }
  }, 60_000);

  it("tells of a file that became shorter, and fills it with zeros", async () => {
    const large = join(workspace, "out/large");
    writeFileSync(large, randomBytes(40 * 1024 * 1024));
    const running = archive();
    const part = () => readdirSync(workspace).find((name) => name.endsWith(".part"));
    await expect
      .poll(
        () => lstatSync(join(workspace, part() ?? "none"), { throwIfNoEntry: false })?.size ?? 0,
        { interval: 1 },
      )
      .toBeGreaterThan(1_000_000);
    truncateSync(large, 500);
    expect((await running).skipped).toEqual([
      "large: it became shorter while it was read; the rest is zeros",
    ]);
  });
});
