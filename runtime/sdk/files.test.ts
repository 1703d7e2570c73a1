import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSdk, PLACES, type SdkClient } from "../../test/support/sdk.js";
import {
  CancelledError,
  ConflictError,
  InvalidInputError,
  NotFoundError,
  PermissionDeniedError,
} from "./errors.js";
import type { Space } from "./space.js";

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

describe.each(PLACES)("the files of a space on %s", (place) => {
  let opened: SdkClient;
  let space: Space;
  beforeAll(async () => {
    opened = await openSdk(place, "virtual");
    space = await opened.client.spaces.create({ start: false });
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });

  it("are written and read as text and in base64, whether the space runs or not", async () => {
    const written = await space.files.write("notes/ü.txt", "wörds");
    expect(written).toMatchObject({ name: "ü.txt", path: "/workspace/notes/ü.txt", size: 6 });
    expect(await space.files.read("notes/ü.txt")).toEqual({
      content: "wörds",
      encoding: "utf8",
      bytes: 6,
      size: 6,
    });
    const image = Buffer.from([0x89, 0, 0xff, 1]).toString("base64");
    await space.files.write("image.png", image, "base64");
    expect((await space.files.read("image.png", "base64")).content).toBe(image);
    await expect(space.files.read("image.png")).rejects.toBeInstanceOf(InvalidInputError);
    const part = await space.files.read("/workspace/notes/ü.txt", { offset: 3, length: 2 });
    expect(part).toMatchObject({ content: "rd", bytes: 2, size: 6 });
  });

  it("carry bytes of any size, with their hash", async () => {
    const bytes = randomBytes(3_000_000);
    const written = await space.files.write("large.bin", bytes);
    expect(written).toMatchObject({ size: 3_000_000, sha256: sha256(bytes) });
    const read = await space.files.readBytes("large.bin");
    expect(read).toBeInstanceOf(Uint8Array);
    expect(sha256(read)).toBe(sha256(bytes));
    const part = await space.files.readBytes("large.bin", { offset: 10, length: 20 });
    expect(Buffer.from(part).equals(bytes.subarray(10, 30))).toBe(true);
    const text = "ü".repeat(2_000_000);
    await space.files.write("large.txt", text);
    expect((await space.files.read("large.txt")).content === text).toBe(true);
    await space.files.write("empty", new Uint8Array());
    expect(await space.files.readBytes("empty")).toHaveLength(0);
  });

  it("are written from streams and read as streams", async () => {
    async function* lines() {
      for (let line = 0; line < 50_000; line++) yield `line ${line}\n`;
    }
    const written = await space.files.write("lines.txt", lines());
    const hash = createHash("sha256");
    for await (const piece of await space.files.readStream("lines.txt")) hash.update(piece);
    expect(hash.digest("hex")).toBe(written.sha256);
    const copied = await space.files.write("copy.txt", await space.files.readStream("lines.txt"));
    expect(copied.sha256).toBe(written.sha256);
    const reader = (await space.files.readStream("lines.txt")).getReader();
    await reader.read();
    await reader.cancel();
  });

  it("stay as they were when their stream breaks off", async () => {
    await space.files.write("kept.txt", "before");
    async function* broken() {
      yield "after";
      throw new Error("the source broke");
    }
    await expect(space.files.write("kept.txt", broken())).rejects.toThrow();
    expect((await space.files.read("kept.txt")).content).toBe("before");
    expect((await space.files.list({ glob: "*kept*" })).map(({ name }) => name)).toEqual([
      "kept.txt",
    ]);
  });

  it("are appended to", async () => {
    await space.files.append("log", "one\n");
    await space.files.append("log", new TextEncoder().encode("two\n"));
    await space.files.append("log", Buffer.from("three\n").toString("base64"), "base64");
    expect((await space.files.read("log")).content).toBe("one\ntwo\nthree\n");
  });

  it("are listed: all of them, those below, and those that match", async () => {
    await Promise.all(
      Array.from({ length: 1100 }, (_, n) => space.files.write(`many/${n}/f.txt`, `${n}`)),
    );
    expect(await space.files.list({ path: "many" })).toHaveLength(1100);
    const files = await space.files.list({ path: "many", recursive: true, glob: "*/f.txt" });
    expect(files).toHaveLength(1100);
    expect(files[0]).toMatchObject({ type: "file", name: "f.txt" });
    let seen = 0;
    for await (const file of space.files.iterate({ path: "many" })) {
      expect(file.type).toBe("directory");
      if (++seen === 3) break;
    }
  });

  it("are described, made, moved, copied and removed", async () => {
    await space.files.mkdir("a/b", { parents: true });
    await space.files.write("a/b/c.txt", "text", { mode: 0o755 });
    expect(await space.files.stat("a/b/c.txt", { hash: true })).toMatchObject({
      type: "file",
      mode: 0o755,
      sha256: sha256("text"),
    });
    await space.files.move("a/b/c.txt", "a/d.txt");
    await space.files.copy("a", "e", { recursive: true });
    expect(await space.files.exists("a/b/c.txt")).toBe(false);
    expect((await space.files.read("e/d.txt")).content).toBe("text");
    await expect(space.files.remove("e")).rejects.toMatchObject({ code: "DIRECTORY_NOT_EMPTY" });
    await space.files.remove("e", { recursive: true });
    await space.files.delete("a/d.txt");
    await expect(space.files.delete("a/d.txt")).rejects.toBeInstanceOf(NotFoundError);
    await space.files.delete("a/d.txt", { force: true });
  });

  it("are archived, and extracted", async () => {
    await space.files.write("packed/a.txt", "text");
    const made = await space.files.archive("p.tgz", { path: "packed", exclude: ["*.log"] });
    expect(made).toMatchObject({ path: "/workspace/p.tgz", entries: 1, bytes: 4, skipped: [] });
    expect(await space.files.stat("p.tgz", { hash: true })).toMatchObject({ sha256: made.sha256 });
    await expect(space.files.archive({ path: "p.tgz" })).rejects.toBeInstanceOf(ConflictError);
    const from = { space: space.name, path: "p.tgz" };
    expect(await space.files.extract(from, { path: "unpacked", clean: true })).toEqual({
      entries: 1,
      bytes: 4,
      skipped: [],
    });
    expect((await space.files.read("unpacked/a.txt")).content).toBe("text");
    const signal = AbortSignal.abort();
    await expect(space.files.extract(from, { signal })).rejects.toBeInstanceOf(CancelledError);
  });

  it("are refused where there is something, nothing, or no way", async () => {
    await space.files.write("there", "x");
    const again = space.files.write("there", "y", { overwrite: false });
    await expect(again).rejects.toBeInstanceOf(ConflictError);
    await expect(space.files.read("missing")).rejects.toBeInstanceOf(NotFoundError);
    await expect(space.files.readStream("missing")).rejects.toBeInstanceOf(NotFoundError);
    const outside = space.files.write("../outside", "x");
    await expect(outside).rejects.toBeInstanceOf(PermissionDeniedError);
    const signal = AbortSignal.abort();
    await expect(space.files.read("there", { signal })).rejects.toBeInstanceOf(CancelledError);
  });
});
