/** The contract's files: what they must do on every binding and driver. Called by the suite. */
import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import type { ErrorCode } from "../../runtime/contract/errors.js";

interface FilesTraits {
  /** Runs programs of an operating system. */
  readonly native: boolean;
  client(): Client;
  /** Creates a space under a fresh name. */
  make(state: "stopped" | "running"): Promise<string>;
  /** Runs a command line in a space. */
  run(space: string, command: string): Promise<{ exitCode: number; output: string }>;
}

type Files = Client["files"];
type Input<Name extends keyof Files> = Parameters<Files[Name]>[0];
type Without<T> = Omit<T, "space">;

const CHUNK = 256 * 1024;

/** A stream of so many bytes, the same at each call, and never all of them in memory. */
export function streamOf(total: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (sent === total) {
          controller.close();
          return;
        }
        const chunk = Buffer.alloc(Math.min(CHUNK, total - sent));
        for (let at = 0; at + 4 <= chunk.length; at += 4096) chunk.writeUInt32LE(sent + at, at);
        sent += chunk.length;
        controller.enqueue(chunk);
      },
    },
    { highWaterMark: 0 },
  );
}

async function hashOf(stream: ReadableStream) {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), bytes };
}

export function filesSuite({ native, client, make, run }: FilesTraits): void {
  describe("files", () => {
    let space: string;
    beforeAll(async () => {
      space = await make("running");
    });

    const fails = async (code: ErrorCode, call: Promise<unknown>): Promise<void> => {
      await expect(call).rejects.toMatchObject({ code });
    };
    const files = () => client().files;
    const write = (path: string, content: string, more: Partial<Input<"write">> = {}) =>
      files().write({ space, path, content, ...more });
    const read = async (path: string, more: Partial<Input<"read">> = {}) =>
      (await files().read({ space, path, ...more })).content;
    const paths = async (input: Without<Input<"list">> = {}) =>
      (await files().list({ space, ...input })).items.map((item) => item.path);
    const upload = (
      path: string,
      body: ReadableStream,
      query: Partial<Input<"upload">["query"]> = {},
    ) => files().upload({ params: { space }, query: { path, ...query }, body });
    const inside = async (line: string): Promise<string> => {
      const { exitCode, output } = await run(space, line);
      expect({ exitCode, output, line }).toMatchObject({ exitCode: 0 });
      return output;
    };

    it("writes and reads text, with the directories above it", async () => {
      const written = await write("/workspace/deep/er/note.txt", "grüße\n");
      expect(written).toMatchObject({
        name: "note.txt",
        path: "/workspace/deep/er/note.txt",
        type: "file",
        size: 8,
        mode: 0o644,
      });
      expect(await files().read({ space, path: "deep/er/note.txt" })).toEqual({
        content: "grüße\n",
        encoding: "utf8",
        bytes: 8,
        size: 8,
      });
      expect(await paths({ path: "deep" })).toEqual(["/workspace/deep/er"]);
    });

    it("gives every byte back as base64, and refuses what is no text", async () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
      await write("bytes", bytes.toString("base64"), { encoding: "base64" });
      expect(await read("bytes", { encoding: "base64" })).toBe(bytes.toString("base64"));
      await fails("INVALID_INPUT", read("bytes"));
      await fails("INVALID_INPUT", write("bytes", "no base64!", { encoding: "base64" }));
      await fails("INVALID_INPUT", write("bytes", "half \ud800", {}));
      expect(await read("bytes", { encoding: "base64" })).toBe(bytes.toString("base64"));
    });

    it("archives a directory, and extracts it where it is wanted, running or stopped", async () => {
      const other = await make("stopped");
      await write("packed/deep/a.txt", "aé");
      await write("packed/run.sh", "#!/bin/sh\n", { mode: 0o755 });
      await write("packed/skip/b.log", "b");
      await inside("ln -s ../nowhere packed/link");
      const to = { space: other, path: "backups/p.tgz" };
      const request = { space, path: "packed", to, exclude: ["skip"] };
      const made = await files().archive(request);
      expect(made).toMatchObject({ path: "/workspace/backups/p.tgz", entries: 4, skipped: [] });
      const stat = await files().stat({ ...to, hash: true });
      expect(stat).toMatchObject({ size: made.size, sha256: made.sha256, mode: 0o600 });
      await fails("FILE_EXISTS", files().archive(request));
      await files().archive({ ...request, overwrite: true });
      for (const target of [space, other]) {
        const done = await files().extract({ space: target, path: "unpacked", from: to });
        expect(done).toEqual({ entries: 4, bytes: made.bytes, skipped: [] });
        const read = { space: target, path: "unpacked/deep/a.txt" };
        expect(await files().read(read)).toMatchObject({ content: "aé" });
        const { items } = await files().list({ space: target, path: "unpacked" });
        expect(items.map(({ name, mode, target }) => [name, mode, target])).toEqual([
          ["deep", 0o755, undefined],
          ["link", expect.any(Number), "../nowhere"],
          ["run.sh", 0o755, undefined],
        ]);
      }
      expect(await inside("cat unpacked/deep/a.txt")).toBe("aé");
      await fails("FILE_EXISTS", files().extract({ space, path: "unpacked", from: to }));
      await write("unpacked/more", "x");
      await files().extract({ space, path: "unpacked", from: to, overwrite: true });
      expect(await paths({ path: "unpacked" })).toContain("/workspace/unpacked/more");
      await files().extract({ space, path: "unpacked", from: to, clean: true });
      expect(await paths({ path: "unpacked" })).not.toContain("/workspace/unpacked/more");
      // What was extracted is the space's own.
      await inside("rm -r unpacked");
    });

    it("refuses archives and places that are none", async () => {
      const to = { space, path: "none.tgz" };
      await fails("FILE_NOT_FOUND", files().archive({ space, path: "no-such", to }));
      await fails("PATH_DENIED", files().archive({ space, to: { space, path: "../out" } }));
      await fails("SPACE_NOT_FOUND", files().archive({ space, to: { space: "none", path: "a" } }));
      await fails("FILE_NOT_FOUND", files().extract({ space, from: to }));
      await write("text", "no archive");
      const clean = { space, path: ".", from: { space, path: "text" }, clean: true };
      await fails("INVALID_INPUT", files().extract(clean));
      const elsewhere = { ...clean, path: "fresh" };
      await fails("INVALID_INPUT", files().extract(elsewhere));
      expect(await files().exists({ space, path: "fresh" })).toEqual({ exists: false });
    });

    it("keeps a byte order mark", async () => {
      await write("bom", "\ufeffx");
      expect(await read("bom")).toBe("\ufeffx");
    });

    it("reads ranges", async () => {
      await write("range", "0123456789");
      expect(await read("range", { offset: 2, length: 3 })).toBe("234");
      expect(await read("range", { offset: 8, length: 100 })).toBe("89");
      expect(await read("range", { offset: 99 })).toBe("");
      expect(await read("range", { length: 0 })).toBe("");
      await fails("INVALID_INPUT", read("range", { offset: -1 }));
      await fails("INVALID_INPUT", read("range", { offset: 0.5 }));
    });

    it("appends, and makes what it appends to", async () => {
      await write("log", "a\n", { append: true });
      await write("log", "b\n", { append: true });
      expect(await read("log")).toBe("a\nb\n");
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => write("at-once", `${index}\n`, { append: true })),
      );
      const lines = (await read("at-once")).trim().split("\n").map(Number);
      expect(lines.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
    });

    it("replaces a file, keeps its mode, and refuses to where that is not wanted", async () => {
      await write("kept", "one", { mode: 0o600 });
      expect((await write("kept", "two", { mode: 0o777 })).mode).toBe(0o600);
      await fails("FILE_EXISTS", write("kept", "three", { overwrite: false }));
      await fails("FILE_EXISTS", upload("kept", streamOf(10), { overwrite: false }));
      expect(await read("kept")).toBe("two");
      const all = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => write("once", `${index}`, { overwrite: false })),
      );
      expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    });

    it("refuses more than one call carries, and says how to do it", async () => {
      const big = 16 * 1024 * 1024 + 1;
      await upload("big", streamOf(big));
      await expect(read("big")).rejects.toMatchObject({
        code: "LIMIT_EXCEEDED",
        suggestion: expect.stringContaining("download"),
      });
      expect((await read("big", { encoding: "base64", offset: big - 1 })).length).toBe(4);
    });

    it("says what is missing, or of another type", async () => {
      await files().mkdir({ space, path: "dir/full", parents: true });
      await write("plain", "x");
      for (const path of ["nope", "nope/below"]) {
        await fails("FILE_NOT_FOUND", read(path));
        await fails("FILE_NOT_FOUND", files().stat({ space, path }));
        await fails("FILE_NOT_FOUND", files().list({ space, path }));
        await fails("FILE_NOT_FOUND", files().remove({ space, path }));
        await fails("FILE_NOT_FOUND", files().download({ space, path }));
        await fails("FILE_NOT_FOUND", files().move({ space, from: path, to: "y" }));
        await fails("FILE_NOT_FOUND", files().copy({ space, from: path, to: "y" }));
        expect(await files().exists({ space, path })).toEqual({ exists: false });
      }
      await fails("FILE_NOT_FOUND", write("nope/below", "x", { parents: false }));
      await fails("FILE_NOT_FOUND", files().mkdir({ space, path: "nope/below" }));
      await fails("FILE_EXISTS", files().mkdir({ space, path: "dir" }));
      await fails("FILE_EXISTS", files().mkdir({ space, path: "plain", parents: true }));
      await fails("WRONG_FILE_TYPE", write("dir", "x"));
      await fails("WRONG_FILE_TYPE", write("plain/below", "x"));
      await fails("WRONG_FILE_TYPE", read("dir"));
      await fails("WRONG_FILE_TYPE", files().list({ space, path: "plain" }));
      await fails("WRONG_FILE_TYPE", files().download({ space, path: "dir" }));
      await fails("WRONG_FILE_TYPE", files().copy({ space, from: "dir", to: "dir2" }));
      await fails("DIRECTORY_NOT_EMPTY", files().remove({ space, path: "dir" }));
      expect(await files().exists({ space, path: "plain/below" })).toEqual({ exists: false });
      for (const action of ["list", "stat", "read", "exists", "remove"] as const) {
        await fails("SPACE_NOT_FOUND", files()[action]({ space: "nope", path: "x" }));
      }
    });

    it.each([
      ["of another file", "/etc/passwd", "PATH_DENIED"],
      ["of the root", "/", "PATH_DENIED"],
      ["above", "..", "PATH_DENIED"],
      ["beside", "../x", "PATH_DENIED"],
      ["above, by way of a name", "a/../../x", "PATH_DENIED"],
      ["above, by way of the workspace", "/workspace/../etc/passwd", "PATH_DENIED"],
      ["of a namesake", "/workspacex/y", "PATH_DENIED"],
      ["that is empty", "", "INVALID_INPUT"],
      ["with a NUL", "a\0b", "INVALID_INPUT"],
      ["with half a character", "\ud800", "INVALID_INPUT"],
      ["with a long name", "ü".repeat(128), "INVALID_INPUT"],
      ["that is long", `${"a/".repeat(2048)}b`, "INVALID_INPUT"],
      ["of many bytes", `${"ü/".repeat(1400)}b`, "INVALID_INPUT"],
    ] as const)("refuses a path %s everywhere", async (_, path, code) => {
      await fails(code, files().list({ space, path }));
      await fails(code, files().stat({ space, path }));
      await fails(code, files().exists({ space, path }));
      await fails(code, read(path));
      await fails(code, write(path, "x"));
      await fails(code, files().mkdir({ space, path }));
      await fails(code, files().move({ space, from: path, to: "x" }));
      await fails(code, files().move({ space, from: "plain", to: path }));
      await fails(code, files().copy({ space, from: path, to: "x" }));
      await fails(code, files().copy({ space, from: "plain", to: path }));
      await fails(code, files().remove({ space, path, recursive: true, force: true }));
      await fails(code, files().download({ space, path }));
      await fails(code, upload(path, streamOf(1)));
    });

    it("never removes, moves or writes over the workspace itself", async () => {
      for (const path of [".", "/workspace", "/workspace/", "deep/.."]) {
        await fails("PATH_DENIED", files().remove({ space, path, recursive: true, force: true }));
        await fails("PATH_DENIED", files().move({ space, from: path, to: "x" }));
        await fails("PATH_DENIED", write(path, "x"));
        expect((await files().stat({ space, path })).path).toBe("/workspace");
      }
    });

    it("lists in the order of paths, by depth, by pattern and by page", async () => {
      for (const path of ["a/z.ts", "a.txt", "a-b", "a/b/c.ts", "b.ts", ".dot", "a/b/.c.ts"]) {
        await write(`tree/${path}`, path);
      }
      const below = (all: string[]) => all.map((path) => path.slice("/workspace/tree/".length));
      const list = async (input: Without<Input<"list">>) =>
        below(await paths({ path: "tree", ...input }));
      expect(await list({})).toEqual([".dot", "a", "a-b", "a.txt", "b.ts"]);
      const all = [".dot", "a", "a-b", "a.txt", "a/b", "a/b/.c.ts", "a/b/c.ts", "a/z.ts", "b.ts"];
      expect(await list({ recursive: true })).toEqual(all);
      expect(await list({ recursive: true, glob: "**/*.ts" })).toEqual([
        "a/b/c.ts",
        "a/z.ts",
        "b.ts",
      ]);
      expect(await list({ glob: "*.{ts,txt}" })).toEqual(["a.txt", "b.ts"]);
      expect(await list({ recursive: true, glob: "a/*.ts" })).toEqual(["a/z.ts"]);
      expect(await list({ glob: ".*" })).toEqual([".dot"]);
      for (const limit of [1, 2, 3, 8, 9]) {
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await files().list({
            space,
            path: "tree",
            recursive: true,
            limit,
            ...(cursor === undefined ? {} : { cursor }),
          });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          seen.push(...page.items.map((item) => item.path));
          cursor = page.nextCursor;
        } while (cursor !== undefined);
        expect(below(seen)).toEqual(all);
      }
      await fails("INVALID_INPUT", list({ limit: 0 }));
    });

    it("goes on after a page where files have come and gone meanwhile", async () => {
      for (const name of ["b", "d", "f"]) await write(`moving/${name}/x`, name);
      const input = { space, path: "moving", recursive: true };
      const first = await files().list({ ...input, limit: 4 });
      expect(first.items.map((item) => item.path.slice(18))).toEqual(["b", "b/x", "d", "d/x"]);
      await write("moving/a", "before");
      await write("moving/e", "after");
      await files().remove({ space, path: "moving/d", recursive: true });
      const second = await files().list({ ...input, cursor: first.nextCursor ?? "" });
      expect(second.items.map((item) => item.path.slice(18))).toEqual(["e", "f", "f/x"]);
    });

    it("answers a pattern that would keep a regular expression busy for years", async () => {
      await write(`slow/${"a".repeat(250)}`, "");
      expect(await paths({ path: "slow", glob: `${"*a".repeat(100)}b` })).toEqual([]);
      await fails("INVALID_INPUT", paths({ path: "slow", glob: "{a,b}".repeat(100) }));
    });

    it("describes a file with its hash", async () => {
      await write("hashed", "abc");
      const sha256 = createHash("sha256").update("abc").digest("hex");
      expect(await files().stat({ space, path: "hashed", hash: true })).toMatchObject({ sha256 });
      const described = await files().stat({ space, path: "hashed" });
      expect(described).not.toHaveProperty("sha256");
      expect(Date.parse(described.modifiedAt)).toBeGreaterThan(Date.now() - 3_600_000);
    });

    it("moves, and replaces only where that is wanted", async () => {
      await write("from/a", "a");
      await write("to", "b");
      await fails("FILE_EXISTS", files().move({ space, from: "from/a", to: "to" }));
      expect(await read("to")).toBe("b");
      const moved = await files().move({ space, from: "from/a", to: "to", overwrite: true });
      expect(moved).toMatchObject({ path: "/workspace/to", size: 1 });
      expect(await read("to")).toBe("a");
      await fails("FILE_NOT_FOUND", read("from/a"));
      await write("from/sub/x", "x");
      await fails("INVALID_INPUT", files().move({ space, from: "from", to: "from/sub/from" }));
      await fails("FILE_EXISTS", files().move({ space, from: "from", to: "tree" }));
      await files().move({ space, from: "from", to: "elsewhere" });
      expect(await paths({ path: "elsewhere", recursive: true })).toEqual([
        "/workspace/elsewhere/sub",
        "/workspace/elsewhere/sub/x",
      ]);
      const onto = { space, from: "elsewhere", to: "tree", overwrite: true };
      await fails("DIRECTORY_NOT_EMPTY", files().move(onto));
    });

    it("copies files and trees", async () => {
      await write("original", "o", { mode: 0o755 });
      const copied = await files().copy({ space, from: "original", to: "copy" });
      expect(copied).toMatchObject({ mode: 0o755, size: 1, path: "/workspace/copy" });
      await fails("FILE_EXISTS", files().copy({ space, from: "original", to: "copy" }));
      await write("src/a/b", "b");
      await write("src/c", "c");
      await files().copy({ space, from: "src", to: "dst", recursive: true });
      expect(await read("dst/a/b")).toBe("b");
      await fails("FILE_EXISTS", files().copy({ space, from: "src", to: "dst", recursive: true }));
      await write("src/c", "new");
      await files().copy({ space, from: "src", to: "dst", recursive: true, overwrite: true });
      expect(await read("dst/c")).toBe("new");
      const into = { space, from: "src", to: "src/a/src", recursive: true };
      await fails("INVALID_INPUT", files().copy(into));
      expect(await paths({ path: "src", recursive: true })).toHaveLength(3);
    });

    it("removes files, empty directories, and trees when told to", async () => {
      await write("gone/a/b", "");
      await files().remove({ space, path: "gone", recursive: true });
      await fails("FILE_NOT_FOUND", files().remove({ space, path: "gone" }));
      await files().remove({ space, path: "gone", force: true });
      await files().remove({ space, path: "gone/below", force: true, recursive: true });
      await files().mkdir({ space, path: "empty" });
      await files().remove({ space, path: "empty" });
      expect(await files().exists({ space, path: "empty" })).toEqual({ exists: false });
    });

    it("streams 40 MB up and down with their hash", async () => {
      const total = 40 * 1024 * 1024 + 17;
      const { sha256 } = await hashOf(streamOf(total));
      const uploaded = await upload("streamed/large", streamOf(total), { sha256 });
      expect(uploaded).toMatchObject({ path: "/workspace/streamed/large", size: total, sha256 });
      expect(await files().stat({ space, path: "streamed/large", hash: true })).toMatchObject({
        size: total,
        sha256,
      });
      const { headers, body } = await files().download({ space, path: "streamed/large" });
      expect(headers).toMatchObject({
        "content-type": "application/octet-stream",
        "content-length": String(total),
        "content-digest": `sha-256=:${Buffer.from(sha256, "hex").toString("base64")}:`,
      });
      expect(await hashOf(body)).toEqual({ sha256, bytes: total });
    });

    it("ends a download at its signal, and one that is left", async () => {
      const aborter = new AbortController();
      const input = { space, path: "streamed/large" };
      const { body } = await files().download(input, { signal: aborter.signal });
      const reader = body.getReader();
      expect((await reader.read()).done).toBe(false);
      aborter.abort();
      const rest = async () => {
        while (!(await reader.read()).done);
      };
      await expect(rest()).rejects.toThrow();
      await (await files().download(input)).body.cancel();
    });

    it("streams a range, and a file without a byte", async () => {
      await write("ranged", "0123456789");
      const { headers, body } = await files().download({
        space,
        path: "ranged",
        offset: 3,
        length: 4,
      });
      const digest = createHash("sha256").update("3456").digest("base64");
      expect(headers).toMatchObject({
        "content-length": "4",
        "content-digest": `sha-256=:${digest}:`,
      });
      expect((await hashOf(body)).bytes).toBe(4);
      expect(await upload("nothing", streamOf(0))).toMatchObject({ size: 0 });
      const nothing = await files().download({ space, path: "nothing" });
      expect((await hashOf(nothing.body)).bytes).toBe(0);
    });

    it("changes nothing for content with another hash, or a stream that breaks off", async () => {
      await write("victim/file", "before");
      const sha256 = "0".repeat(64);
      await fails("HASH_MISMATCH", upload("victim/file", streamOf(100_000), { sha256 }));
      let sent = 0;
      const breaks = new ReadableStream({
        pull(controller) {
          sent += 1;
          if (sent < 4) controller.enqueue(new Uint8Array(1000));
          else controller.error(new Error("cut"));
        },
      });
      await expect(upload("victim/file", breaks)).rejects.toThrow();
      const aborter = new AbortController();
      const silent = new ReadableStream({
        pull: (controller) => {
          controller.enqueue(new Uint8Array(1000));
          aborter.abort();
          return new Promise<void>(() => undefined);
        },
      });
      const aborted = files().upload(
        { params: { space }, query: { path: "victim/file" }, body: silent },
        { signal: aborter.signal },
      );
      await expect(aborted).rejects.toThrow();
      expect(await read("victim/file")).toBe("before");
      await expect.poll(() => inside("ls -A victim")).toBe("file\n");
    });

    it("works on a space that does not run", async () => {
      const stopped = await make("stopped");
      await files().write({ space: stopped, path: "before/start", content: "from outside" });
      await client().spaces.start({ space: stopped });
      expect((await run(stopped, "cat before/start && echo inside > before/made")).output).toBe(
        "from outside",
      );
      await client().spaces.stop({ space: stopped });
      expect(await files().read({ space: stopped, path: "before/made" })).toMatchObject({
        content: "inside\n",
      });
      await files().remove({ space: stopped, path: "before", recursive: true });
      expect((await files().list({ space: stopped })).items).toEqual([]);
    });

    it("shares its files with what runs in the space, which may change and remove them", async () => {
      await write("shared/dir/file", "outside\n");
      await upload("shared/dir/uploaded", streamOf(10));
      await files().mkdir({ space, path: "shared/made" });
      await files().copy({ space, from: "shared/dir", to: "shared/copied", recursive: true });
      expect(
        await inside(
          "cd shared && echo more >> dir/file && echo x >> copied/file && echo y > made/y && " +
            "cat dir/file && rm -r copied made && rm dir/uploaded && echo new > dir/new",
        ),
      ).toBe("outside\nmore\n");
      expect(await paths({ path: "shared", recursive: true })).toEqual([
        "/workspace/shared/dir",
        "/workspace/shared/dir/file",
        "/workspace/shared/dir/new",
      ]);
      expect(await write("shared/dir/new", "again")).toMatchObject({ size: 5 });
      expect(await inside("cat shared/dir/new && echo z >> shared/dir/new")).toBe("again");
      await files().remove({ space, path: "shared", recursive: true });
    });

    // Virtual spaces make symlinks on Linux only.
    const links = native || process.platform === "linux";
    it.runIf(links)("follows symlinks that stay inside, and shows them as such", async () => {
      await write("real/file", "content");
      await inside("mkdir links && ln -s ../real links/dir && ln -s ../real/file links/file");
      expect(await read("links/file")).toBe("content");
      expect(await read("links/dir/file")).toBe("content");
      expect(await files().stat({ space, path: "links/file" })).toMatchObject({
        type: "symlink",
        target: "../real/file",
      });
      expect(await paths({ path: "links", recursive: true })).toEqual([
        "/workspace/links/dir",
        "/workspace/links/file",
      ]);
      expect(await paths({ path: "links/dir" })).toEqual(["/workspace/links/dir/file"]);
      await write("links/file", "through");
      expect(await read("real/file")).toBe("through");
      await fails("FILE_EXISTS", write("links/file", "x", { overwrite: false }));
      await files().copy({ space, from: "links", to: "links2", recursive: true });
      expect((await files().stat({ space, path: "links2/file" })).type).toBe("symlink");
      await files().remove({ space, path: "links/dir", recursive: true });
      await files().remove({ space, path: "links", recursive: true });
      expect(await read("real/file")).toBe("through");
    });

    describe("what natively running programs leave", { skip: !native }, () => {
      it("follows no symlink that leads out", async () => {
        await inside(
          "mkdir out && ln -s /etc/passwd out/file && ln -s / out/root && " +
            "ln -s ../../../../etc out/up && ln -s /workspace/out/file out/chain && " +
            "ln -s loop out/loop && ln -s nowhere out/dangling && ln -s /proc/self/root out/proc",
        );
        for (const path of ["out/file", "out/chain", "out/root/etc/passwd", "out/up/passwd"]) {
          await fails("PATH_DENIED", read(path));
          await fails("PATH_DENIED", write(path, "x"));
          await fails("PATH_DENIED", write(path, "x", { append: true }));
          await fails("PATH_DENIED", files().download({ space, path }));
          await fails("PATH_DENIED", upload(path, streamOf(1)));
        }
        await fails("PATH_DENIED", read("out/loop"));
        await fails("PATH_DENIED", files().list({ space, path: "out/root" }));
        await fails("PATH_DENIED", files().list({ space, path: "out/proc/etc" }));
        await fails("PATH_DENIED", files().mkdir({ space, path: "out/root/tmp/x", parents: true }));
        const below = { space, path: "out/root/tmp", recursive: true };
        await fails("PATH_DENIED", files().remove(below));
        await write("out/dangling", "made");
        expect(await read("out/nowhere")).toBe("made");
        expect(await files().stat({ space, path: "out/file" })).toMatchObject({
          type: "symlink",
          target: "/etc/passwd",
        });
        expect(await paths({ path: "out", recursive: true })).toHaveLength(8);
        const error = await read("out/file").catch((thrown: unknown) => thrown);
        expect(String(error)).not.toMatch(/\/proc\/self|spc_/);
        await files().remove({ space, path: "out/root", recursive: true });
        await files().remove({ space, path: "out", recursive: true });
        expect(await inside("test -e /etc/passwd && echo there")).toBe("there\n");
      });

      it("opens no FIFO and no socket, and neither copies nor waits for one", async () => {
        await inside(
          "mkdir special && echo x > special/file && cd special && { mkfifo fifo 2>/dev/null || " +
            "python3 -c 'import os; os.mkfifo(\"fifo\")'; }",
        );
        expect(await files().stat({ space, path: "special/fifo" })).toMatchObject({
          type: "other",
        });
        await fails("PATH_DENIED", read("special/fifo"));
        await fails("PATH_DENIED", write("special/fifo", "x"));
        await fails("PATH_DENIED", write("special/fifo", "x", { append: true }));
        await fails("PATH_DENIED", files().download({ space, path: "special/fifo" }));
        await fails("PATH_DENIED", upload("special/fifo", streamOf(1)));
        await fails("PATH_DENIED", files().copy({ space, from: "special/fifo", to: "f" }));
        const tree = { space, from: "special", to: "special2", recursive: true };
        await fails("PATH_DENIED", files().copy(tree));
        expect(await files().exists({ space, path: "special2" })).toEqual({ exists: false });
        await files().remove({ space, path: "special", recursive: true });
      });

      it("leaves the other names of a file as they are", async () => {
        await inside("mkdir hard && echo old > hard/a && ln hard/a hard/b && ln hard/a hard/c");
        await write("hard/b", "new\n");
        await write("hard/c", "more\n", { append: true });
        expect(await inside("cat hard/a hard/b hard/c")).toBe("old\nnew\nold\nmore\n");
      });

      it("lists and removes names that are no text", async () => {
        await inside("mkdir odd && cd odd && touch \"$(printf 'a\\377b')\" && touch 'new\nline'");
        expect(await paths({ path: "odd" })).toEqual([
          "/workspace/odd/a\ufffdb",
          "/workspace/odd/new\nline",
        ]);
        await files().copy({ space, from: "odd", to: "odd2", recursive: true });
        await files().remove({ space, path: "odd", recursive: true });
        expect(await inside("ls odd2 | wc -l")).toMatch(/^\s*[23]\n$/);
      });
    });
  });
}
