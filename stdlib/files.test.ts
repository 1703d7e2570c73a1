/** The `files` modules over a host that records its calls; the sandbox is not involved. */
import { beforeEach, describe, expect, it, vi } from "vitest";

declare function btoa(text: string): string;

const { calls, answers, host } = await vi.hoisted(async () =>
  (await import("../test/support/script-host.js")).scriptHost(),
);
vi.mock("spaces:host", () => host);
// The module asks for the name of its space when it is loaded.
answers.set("spaces.get", () => ({ name: "bound", id: "spc_1" }));

const { default: files } = await import("./files.js");
const { default: asyncFiles } = await import("./files-async.js");
const { default: space } = await import("./space.js");
const { fromBase64, toBase64 } = await import("./base64.js");

const file = (extra: object = {}) => ({
  name: "a.txt",
  path: "/workspace/a.txt",
  type: "file",
  size: 3,
  mode: 0o644,
  modifiedAt: "2026-01-01T00:00:00Z",
  ...extra,
});
const shown = {
  name: "a.txt",
  path: "/workspace/a.txt",
  type: "file",
  size: 3,
  mode: 0o644,
  modified_at: "2026-01-01T00:00:00Z",
};

const invalid = (message: RegExp) =>
  expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringMatching(message) });

/** The error that a call throws. */
function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

beforeEach(() => {
  calls.length = 0;
  answers.clear();
  for (const name of ["write", "stat", "mkdir", "move", "copy"]) {
    answers.set(`files.${name}`, () => file());
  }
});

describe("reading", () => {
  it("gives text, or a range of it", () => {
    answers.set("files.read", () => ({ content: "abc" }));
    expect(files.read("dev", "a.txt")).toBe("abc");
    expect(files.read("dev", "a.txt", { offset: 0, length: 3 })).toBe("abc");
    expect(calls).toEqual([
      ["files.read", { space: "dev", path: "a.txt", encoding: "utf8" }],
      ["files.read", { space: "dev", path: "a.txt", encoding: "utf8", offset: 0, length: 3 }],
    ]);
  });

  it("gives bytes", () => {
    answers.set("files.read", ({ encoding }) => ({ content: encoding === "base64" ? "AP8K" : "" }));
    expect(files.read_bytes("dev", "a.bin")).toEqual(Uint8Array.of(0, 255, 10));
  });

  it("gives the value of a JSON file, and says where it is none", () => {
    answers.set("files.read", () => ({ content: '{"a":[1]}' }));
    expect(files.read_json("dev", "a.json")).toEqual({ a: [1] });
    answers.set("files.read", () => ({ content: "{" }));
    expect(thrown(() => files.read_json("dev", "a.json"))).toEqual(
      invalid(/^"a.json" holds no valid JSON/),
    );
  });
});

describe("writing", () => {
  it("takes text and options, and tells of the file", () => {
    expect(files.write("dev", "a.txt", "abc")).toEqual(shown);
    files.write("dev", "a.txt", "", { overwrite: false, parents: false, mode: 0o600 });
    expect(calls).toEqual([
      ["files.write", { space: "dev", path: "a.txt", content: "abc" }],
      [
        "files.write",
        { space: "dev", path: "a.txt", content: "", overwrite: false, parents: false, mode: 0o600 },
      ],
    ]);
  });

  it("takes bytes in every form, of views only the part that they show", () => {
    const bytes = Uint8Array.of(9, 1, 2, 3, 9);
    files.write("dev", "a", bytes.subarray(1, 4));
    files.write("dev", "a", new DataView(bytes.buffer, 1, 3));
    files.append("dev", "a", Uint8Array.of(1, 2, 3).buffer);
    const written = { space: "dev", path: "a", content: "AQID", encoding: "base64" };
    expect(calls).toEqual([
      ["files.write", written],
      ["files.write", written],
      ["files.write", { ...written, append: true }],
    ]);
  });

  it("writes values as JSON", () => {
    files.write_json("dev", "a.json", { a: [1] }, { mode: 0o600 });
    expect(calls[0]?.[1]).toMatchObject({
      content: '{\n  "a": [\n    1\n  ]\n}\n',
      mode: 0o600,
    });
    expect(thrown(() => files.write_json("dev", "a.json", undefined))).toEqual(
      invalid(/cannot write undefined as JSON/),
    );
  });
});

describe("list", () => {
  it("follows the pages, for all of a directory", () => {
    answers.set("files.list", ({ cursor }) =>
      cursor === undefined
        ? { items: [file()], nextCursor: "2" }
        : { items: [file({ name: "l", type: "symlink", target: "/etc" })] },
    );
    expect(files.list("dev")).toEqual([
      shown,
      { ...shown, name: "l", type: "symlink", target: "/etc" },
    ]);
    expect(calls.map(([, input]) => input)).toEqual([
      { space: "dev", limit: 1000 },
      { space: "dev", limit: 1000, cursor: "2" },
    ]);
  });

  it("takes options behind the path or in its place, and stops at the limit", () => {
    answers.set("files.list", ({ limit }) => ({
      items: Array.from({ length: limit as number }, () => file()),
      nextCursor: "more",
    }));
    expect(files.list("dev", "src", { recursive: true, glob: "*.ts", limit: 3 })).toHaveLength(3);
    expect(files.list("dev", { recursive: true, limit: 1001 })).toHaveLength(1001);
    expect(calls.map(([, input]) => input)).toEqual([
      { space: "dev", path: "src", recursive: true, glob: "*.ts", limit: 3 },
      { space: "dev", recursive: true, limit: 1000 },
      { space: "dev", recursive: true, limit: 1, cursor: "more" },
    ]);
  });
});

describe("the rest", () => {
  it("passes on what it is given", () => {
    answers.set("files.stat", () => file({ sha256: "ab" }));
    answers.set("files.exists", () => ({ exists: false }));
    expect(files.stat("dev", "a", { hash: true })).toEqual({ ...shown, sha256: "ab" });
    expect(files.exists("dev", "a")).toBe(false);
    expect(files.mkdir("dev", "a", { parents: true, mode: 0o700 })).toEqual(shown);
    expect(files.move("dev", "a", "b", { overwrite: true })).toEqual(shown);
    expect(files.copy("dev", "a", "b", { recursive: true, overwrite: false })).toEqual(shown);
    expect(files.delete("dev", "a", { recursive: true, force: true })).toBe(true);
    expect(calls).toEqual([
      ["files.stat", { space: "dev", path: "a", hash: true }],
      ["files.exists", { space: "dev", path: "a" }],
      ["files.mkdir", { space: "dev", path: "a", parents: true, mode: 0o700 }],
      ["files.move", { space: "dev", from: "a", to: "b", overwrite: true }],
      ["files.copy", { space: "dev", from: "a", to: "b", recursive: true, overwrite: false }],
      ["files.remove", { space: "dev", path: "a", recursive: true, force: true }],
    ]);
  });

  it("has aliases that are the same functions", () => {
    expect(files.readBytes).toBe(files.read_bytes);
    expect(files.delete).toBe(files.remove);
    expect(space.files.delete).toBe(space.files.remove);
    const loose = files as unknown as Record<string, () => void>;
    expect(() => loose.raed?.()).toThrow("files.raed is not a function. Did you mean files.read?");
  });
});

describe("archives", () => {
  it("are in the same space, or in another one", () => {
    const made = { path: "/workspace/a.tgz", size: 9, sha256: "ab", entries: 2, bytes: 3 };
    answers.set("files.archive", () => ({ ...made, skipped: ["x: it is a socket"] }));
    answers.set("files.extract", () => ({ entries: 2, bytes: 3, skipped: [] }));
    expect(files.archive("dev", ".", "a.tgz")).toEqual({ ...made, skipped: ["x: it is a socket"] });
    files.archive("dev", "src", { space: "b", path: "a" }, { exclude: "x", overwrite: true });
    space.files.archive(".", { path: "a" }, { exclude: ["x", "y"] });
    expect(files.extract("dev", "out", "a.tgz", { clean: true, overwrite: false })).toEqual({
      entries: 2,
      bytes: 3,
      skipped: [],
    });
    const here = { space: "dev", path: "a.tgz" };
    expect(calls).toEqual([
      ["files.archive", { space: "dev", path: ".", to: here }],
      [
        "files.archive",
        {
          space: "dev",
          path: "src",
          to: { space: "b", path: "a" },
          exclude: ["x"],
          overwrite: true,
        },
      ],
      [
        "files.archive",
        { space: "bound", path: ".", to: { space: "bound", path: "a" }, exclude: ["x", "y"] },
      ],
      ["files.extract", { space: "dev", path: "out", from: here, clean: true, overwrite: false }],
    ]);
  });
});

describe("what is given wrongly", () => {
  const bytes = new Uint8Array(1);
  it.each<[keyof typeof files, unknown[], RegExp]>([
    [
      "archive",
      ["dev", "."],
      /archive\(\) requires the path of the archive as a string, but got un/,
    ],
    ["archive", ["dev", ".", {}], /requires the path of the archive as a string/],
    ["archive", ["dev", ".", { spaec: "a" }], /no option "spaec".*/],
    ["archive", ["dev", ".", "a", { exclude: [""] }], /"exclude" as a string, but got an empty/],
    ["archive", ["dev", ".", "a", { exclude: 5 }], /"exclude" as an array of strings/],
    ["extract", ["dev", ".", "a", { clean: 1 }], /"clean" as true or false/],
    ["read", [], /read\(\) requires space name as a string, but got undefined/],
    ["read", ["dev"], /read\(\) requires path as a string, but got undefined/],
    ["read", ["dev", ""], /requires path as a string, but got an empty string/],
    ["read", ["dev", ["a"]], /requires path as a string, but got an array/],
    ["read", ["dev", "a", { offset: -1 }], /"offset" as a whole number from 0, but got the num/],
    ["read", ["dev", "a", { length: 0.5 }], /"length" as a whole number from 0/],
    ["read", ["dev", "a", { length: Number.NaN }], /"length" as a whole number from 0/],
    ["read", ["dev", "a", { ofset: 1 }], /no option "ofset"/],
    ["read", ["dev", "a", 0, 5], /requires options as an object/],
    ["read", ["dev", "a", {}, 5], /too many arguments/],
    ["readBytes", ["dev", "a", "utf8"], /read_bytes\(\) requires options as an object/],
    ["read_json", ["dev", "a", {}], /read_json\(\) was given too many arguments/],
    ["write", ["dev", "a"], /requires content as a string or a Uint8Array, but got undefined/],
    ["write", ["dev", "a", 5], /content as a string or a Uint8Array, but got the number 5/],
    ["write", ["dev", "a", [1, 2]], /content as a string or a Uint8Array, but got an array/],
    ["write", ["dev", "a", { byteLength: 4 }], /content as a string or a Uint8Array/],
    ["write", ["dev", "a", bytes, { mode: 0o1777 }], /"mode" as permission bits/],
    ["write", ["dev", "a", bytes, { mode: "644" }], /"mode" as permission bits/],
    ["write", ["dev", "a", bytes, { append: true }], /no option "append"/],
    ["append", ["dev", "a", "x", { overwrite: true }], /no option "overwrite"/],
    ["list", ["dev", "a", { glob: "" }], /"glob" as a string, but got an empty string/],
    ["list", ["dev", { limit: 0 }], /"limit" as a whole number from 1/],
    ["list", ["dev", { recursive: true }, {}], /too many arguments/],
    ["list", ["dev", null], /requires path as a string, but got null/],
    ["stat", ["dev", "a", { hash: "sha256" }], /"hash" as true or false/],
    ["move", ["dev", "a"], /requires the path to put it at as a string/],
    ["copy", ["dev", "a", "b", true], /requires options as an object/],
    ["remove", ["dev", "a", { recursve: true }], /no option "recursve"/],
    ["exists", ["dev", "a", {}], /too many arguments/],
  ])("%s refuses %j before asking the host", (name, args, message) => {
    expect(thrown(() => files[name](...args))).toEqual(invalid(message));
    expect(calls).toEqual([]);
  });

  it("passes errors of the host on, with their code", () => {
    answers.set("files.read", () => {
      throw new host.SpacesError("FILE_NOT_FOUND", "There is no /workspace/a.");
    });
    expect(thrown(() => files.read("dev", "a"))).toMatchObject({ code: "FILE_NOT_FOUND" });
  });
});

describe("files/async", () => {
  it("gives the same results as promises", async () => {
    answers.set("files.read", () => ({ content: "abc" }));
    expect(await asyncFiles.read("dev", "a")).toBe("abc");
    expect(Object.keys(asyncFiles)).toEqual(Object.keys(files));
    await expect(asyncFiles.read("dev")).rejects.toEqual(invalid(/requires path/));
  });
});

describe("space.files", () => {
  it("has the functions of files for the current space", () => {
    answers.set("files.list", () => ({ items: [] }));
    space.files.write("a", "x");
    space.files.list({ recursive: true });
    space.files.move("a", "b");
    expect(Object.keys(space.files)).toEqual(Object.keys(files));
    expect(calls).toEqual([
      ["files.write", { space: "bound", path: "a", content: "x" }],
      ["files.list", { space: "bound", recursive: true, limit: 1000 }],
      ["files.move", { space: "bound", from: "a", to: "b" }],
    ]);
  });

  it("names itself where a function is misspelt", () => {
    const loose = space.files as unknown as Record<string, () => void>;
    expect(() => loose.raed?.()).toThrow("Did you mean space.files.read?");
  });
});

describe("base64", () => {
  it("is what others read and write", () => {
    for (const length of [0, 1, 2, 3, 4, 5, 255, 256, 12_287, 12_288, 12_289, 100_000]) {
      const bytes = Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 255);
      const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
      expect(toBase64(bytes) === text).toBe(true);
      expect(fromBase64(text).every((byte, at) => byte === bytes[at])).toBe(true);
      expect(fromBase64(text)).toHaveLength(length);
    }
  });
});
