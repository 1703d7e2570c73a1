/** `spaces files` and `spaces cp`, on a space that is stopped, with names and links as attackers give them. */
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CLI, CliHome } from "../support/cli.js";

interface Listed {
  readonly items: readonly { path: string; type: string; size: number; mode: number }[];
}

let cli: CliHome;
/** The space's files, as the host has them. */
let workspace: string;
/** A directory of this machine, empty for each test. */
let here: string;
beforeAll(async () => {
  cli = await CliHome.make();
  await cli.json(["create", "dev"]);
  workspace = (await cli.json<{ workspace: string }>(["show", "dev"])).workspace;
});
afterAll(() => cli[Symbol.asyncDispose]());
beforeEach(async () => {
  here = join(cli.home, "here");
  await rm(here, { recursive: true, force: true });
  await mkdir(here, { recursive: true });
  for (const name of await readdir(workspace)) await rm(join(workspace, name), { recursive: true });
});

const files = (...args: string[]) => cli.run(["files", ...args], { cwd: here });
const cp = (...args: string[]) => cli.run(["cp", ...args], { cwd: here });
const done = { code: 0 };

describe("spaces files ls", () => {
  it("lists by path, recursively and by pattern, a file by itself", async () => {
    await mkdir(join(workspace, "src", "deep"), { recursive: true });
    await writeFile(join(workspace, "src", "a.ts"), "abc");
    await writeFile(join(workspace, "src", "deep", "b.ts"), "");
    await symlink("/etc/passwd", join(workspace, "link"));
    expect(await files("ls", "dev")).toMatchObject({
      ...done,
      stdout: "link\nsrc/\n",
      stderr: "",
    });
    expect(await files("ls", "dev", "src", "-R")).toMatchObject({
      stdout: "a.ts\ndeep/\ndeep/b.ts\n",
    });
    expect(await files("ls", "dev", "-R", "--glob", "**/*.ts", "--limit", "1")).toMatchObject({
      stdout: "src/a.ts\n",
    });
    expect(await files("ls", "dev", "/workspace/src/a.ts")).toMatchObject({
      stdout: "/workspace/src/a.ts\n",
    });
    const long = await files("ls", "dev", "-l");
    expect(long.stdout).toMatch(
      /^MODE +SIZE +MODIFIED +NAME\nlrwx.* link -> \/etc\/passwd\nd.* src\/\n$/,
    );
    const listed = await cli.json<Listed>(["files", "ls", "dev", "-R"]);
    expect(listed.items.map(({ path }) => path)).toEqual([
      "/workspace/link",
      "/workspace/src",
      "/workspace/src/a.ts",
      "/workspace/src/deep",
      "/workspace/src/deep/b.ts",
    ]);
  });

  it("follows the pages of a large directory", async () => {
    const names = Array.from({ length: 2345 }, (_, n) => `f${String(n).padStart(4, "0")}`);
    await Promise.all(names.map((name) => writeFile(join(workspace, name), "")));
    expect((await files("ls", "dev")).stdout).toBe(names.map((name) => `${name}\n`).join(""));
  });

  it("prints names that drive terminals, or look like two, as what they are", async () => {
    const name = "a\nb\u001b]0;title\u0007\u202etxt";
    await writeFile(join(workspace, name), "");
    const shown = "a\\u000ab\\u001b]0;title\\u0007\\u202etxt";
    for (const args of [
      ["ls", "dev"],
      ["ls", "dev", "-l"],
      ["stat", "dev", name],
    ]) {
      const { stdout } = await files(...args);
      expect(stdout).toContain(shown);
      expect(stdout).not.toMatch(/[\u001b\u0007\u202e]/);
    }
    const { stderr } = await files("rm", "dev", name);
    expect(stderr).toBe(`Removed ${shown}.\n`);
  });
});

describe("spaces files stat and cat", () => {
  it("describe and print, also ranges and what is no text", async () => {
    const bytes = randomBytes(300_000);
    await writeFile(join(workspace, "a.bin"), bytes, { mode: 0o640 });
    await chmod(join(workspace, "a.bin"), 0o640);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect(await cli.json(["files", "stat", "dev", "a.bin", "--hash"])).toMatchObject({
      path: "/workspace/a.bin",
      type: "file",
      size: 300_000,
      mode: 0o640,
      sha256,
    });
    const text = (await files("stat", "dev", "a.bin", "--hash")).stdout;
    expect(text).toContain("mode:     0640 (-rw-r-----)\n");
    expect(text).toContain(`sha256:   ${sha256}\n`);
    const cat = async (...args: string[]): Promise<Buffer> => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [CLI, "files", "cat", "dev", "a.bin", ...args],
        { env: cli.env, encoding: "buffer", maxBuffer: 1e7 },
      );
      return stdout;
    };
    expect((await cat()).equals(bytes)).toBe(true);
    expect(
      (await cat("--offset", "1000", "--length", "5")).equals(bytes.subarray(1000, 1005)),
    ).toBe(true);
    expect(await cat("--offset", "400000")).toHaveLength(0);
    await writeFile(join(workspace, "a.txt"), "Ä text");
    expect(await cli.json(["files", "cat", "dev", "a.txt"])).toMatchObject({
      content: "Ä text",
      encoding: "utf8",
    });
    const asJson = await cli.json<{ content: string }>(["files", "cat", "dev", "a.bin"]);
    expect(Buffer.from(asJson.content, "base64").equals(bytes)).toBe(true);
  });

  it("ends quietly when nobody reads on", async () => {
    await writeFile(join(workspace, "big"), Buffer.alloc(20_000_000, "line\n"));
    const line = 'set -o pipefail; "$NODE" "$CLI" files cat dev big | head -1; echo $?';
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", line], {
      env: { ...cli.env, NODE: process.execPath, CLI },
    });
    expect({ stdout, stderr }).toEqual({ stdout: "line\n141\n", stderr: "" });
  });
});

describe("spaces files mkdir, mv, cp and rm", () => {
  it("change what is there", async () => {
    expect(await files("mkdir", "dev", "a/b", "c")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("hint: Add --parents"),
    });
    expect(await files("mkdir", "dev", "-p", "a/b", "c")).toMatchObject(done);
    expect(await files("put", "dev", "-", "a/f")).toMatchObject(done);
    expect(await files("mv", "dev", "a/f", "c")).toMatchObject({
      ...done,
      stderr: "Moved a/f to /workspace/c/f.\n",
    });
    expect(await files("cp", "dev", "c", "d")).toMatchObject({ code: 1 });
    expect(await files("cp", "dev", "c", "d", "-r")).toMatchObject(done);
    expect(await files("cp", "dev", "c/f", "d/f")).toMatchObject({ code: 1 });
    expect(await files("cp", "dev", "c/f", "d/f", "-f")).toMatchObject(done);
    expect((await files("ls", "dev", "-R")).stdout).toBe("a/\na/b/\nc/\nc/f\nd/\nd/f\n");
  });

  it("remove what they can, show it before, and report the rest", async () => {
    await mkdir(join(workspace, "full", "sub"), { recursive: true });
    await writeFile(join(workspace, "one"), "");
    await writeFile(join(workspace, "outside"), "");
    await symlink("../outside", join(workspace, "full", "link"));
    const dry = await cli.json<{ items: { path: string }[] }>([
      ...["files", "rm", "dev", "-r", "full", "one", "--dry-run"],
    ]);
    expect(dry.items).toEqual(
      ["full", "full/link", "full/sub", "one"].map((path) => ({
        path: `/workspace/${path}`,
        removed: false,
        dryRun: true,
      })),
    );
    const result = await files("rm", "dev", "full", "missing", "one", "--json", "-y");
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout)).toEqual({ items: [{ path: "one", removed: true }] });
    const codes = result.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).error.code);
    expect(codes).toEqual(["DIRECTORY_NOT_EMPTY", "FILE_NOT_FOUND"]);
    expect(await files("rm", "dev", "-rf", "full", "missing")).toMatchObject(done);
    expect(await readdir(workspace)).toEqual(["outside"]);
  });
});

describe("spaces files put and get", () => {
  it("carry a tree there and back, with its modes and its odd names", async () => {
    await mkdir(join(here, "tree", "sub", "empty"), { recursive: true });
    await writeFile(join(here, "tree", "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    await chmod(join(here, "tree", "run.sh"), 0o755);
    const odd = "-rf \n\u001b[31m *ä";
    await writeFile(join(here, "tree", "sub", odd), "odd");
    await symlink("/etc/passwd", join(here, "tree", "link"));
    expect(await files("put", "dev", "tree")).toMatchObject({ code: 1 });
    const put = await cli.run(["files", "put", "dev", "tree", "-r", "--json"], { cwd: here });
    expect(JSON.parse(put.stdout)).toEqual({
      files: 2,
      directories: 3,
      bytes: 13,
      skipped: [{ path: "link", type: "symlink" }],
      failed: [],
    });
    expect(await files("get", "dev", "tree", "back")).toMatchObject({ code: 1 });
    const get = await files("get", "dev", "tree", "back", "-r");
    expect(get).toMatchObject({
      ...done,
      stderr: "Copied 2 files (13 bytes) from dev:tree to back.\n",
    });
    expect((await stat(join(here, "back", "run.sh"))).mode & 0o777).toBe(0o755);
    expect(await readFile(join(here, "back", "sub", odd), "utf8")).toBe("odd");
    expect((await readdir(join(here, "back", "sub"))).sort()).toEqual([odd, "empty"].sort());
  });

  it("take a directory as the place to put things, and refuse to replace on demand", async () => {
    await writeFile(join(here, "a.txt"), "one");
    await mkdir(join(here, "into"));
    await mkdir(join(workspace, "into"));
    expect(await files("put", "dev", "a.txt", "into")).toMatchObject(done);
    expect(await files("get", "dev", "into/a.txt", "into")).toMatchObject(done);
    expect(await readFile(join(here, "into", "a.txt"), "utf8")).toBe("one");
    for (const args of [
      ["put", "dev", "a.txt", "into/", "--no-overwrite"],
      ["get", "dev", "into/a.txt", "into", "--no-overwrite"],
    ]) {
      const refused = await files(...args, "--json");
      expect(refused.code).toBe(1);
      expect(JSON.parse(refused.stderr).error.code).toBe("FILE_EXISTS");
    }
    expect(await files("put", "dev", "a.txt", "into")).toMatchObject(done);
  });

  it("read standard input and write standard output", async () => {
    const put = await cli.run(["files", "put", "dev", "-", "in.txt"], { input: "from a pipe" });
    expect(put).toMatchObject(done);
    const get = await files("get", "dev", "in.txt", "-");
    expect(get).toMatchObject({ ...done, stdout: "from a pipe" });
  });

  it("write nothing through symlinks that are in the way", async () => {
    await mkdir(join(workspace, "tree", "sub"), { recursive: true });
    await writeFile(join(workspace, "tree", "sub", "file"), "gotcha");
    await mkdir(join(here, "tree"));
    await mkdir(join(here, "outside"));
    await symlink("../outside", join(here, "tree", "sub"));
    const result = await files("get", "dev", "tree", "-r");
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("[PATH_DENIED]");
    expect(await readdir(join(here, "outside"))).toEqual([]);
  });

  it.each([
    [["put", "dev", "missing"], 1, "FILE_NOT_FOUND"],
    [["put", "dev", "/dev/null"], 1, "WRONG_FILE_TYPE"],
    [["put", "dev", "-"], 2, "INVALID_INPUT"],
    [["put", "dev", "a.txt", "../../a.txt"], 1, "PATH_DENIED"],
    [["put", "dev", "a.txt", "/etc/a.txt"], 1, "PATH_DENIED"],
    [["put", "nope", "a.txt"], 1, "SPACE_NOT_FOUND"],
    [["get", "dev", "missing"], 1, "FILE_NOT_FOUND"],
    [["get", "dev", "../x"], 1, "PATH_DENIED"],
    [["get", "dev", "escape"], 1, "PATH_DENIED"],
    [["get", "dev", "real", "no/such/directory"], 1, "FILE_NOT_FOUND"],
    [["get", "dev", "real", "nowhere/"], 1, "FILE_NOT_FOUND"],
    [["get", "dev", "real", "-"], 2, "INVALID_INPUT"],
    [["cat", "dev", "real", "--offset", "-1"], 2, "INVALID_INPUT"],
    [["cat", "dev", "."], 1, "WRONG_FILE_TYPE"],
    [["ls", "dev", "missing"], 1, "FILE_NOT_FOUND"],
    [["ls", "dev", "--limit", "0"], 2, "INVALID_INPUT"],
    [["stat", "dev", "\u202e"], 1, "FILE_NOT_FOUND"],
    [["mv", "dev", "missing", "x"], 1, "FILE_NOT_FOUND"],
    [["frobnicate"], 2, "INVALID_INPUT"],
  ])("%j ends with %i and %s", async (args, code, error) => {
    await writeFile(join(here, "a.txt"), "");
    await writeFile(join(workspace, "real"), "");
    await symlink("/etc/passwd", join(workspace, "escape"));
    const [first = "", ...rest] = args;
    const result = await files(first, "--json", ...rest);
    expect(result).toMatchObject({ code, stdout: "" });
    expect(JSON.parse(result.stderr).error.code).toBe(error);
    expect(await readdir(here)).toEqual(["a.txt"]);
  });
});

describe("spaces cp", () => {
  it("copies to a space, from a space, and from space to space", async () => {
    await cli.json(["create", "other"]);
    await mkdir(join(here, "app"));
    await writeFile(join(here, "app", "main.ts"), "main");
    expect(await cp("./app", "dev:code")).toMatchObject(done);
    expect(await cp("dev:code", "other:code")).toMatchObject(done);
    expect(await cp("other:code/main.ts", "back.ts")).toMatchObject(done);
    expect(await readFile(join(here, "back.ts"), "utf8")).toBe("main");
    expect(await cp("dev:code/main.ts", "dev:twice.ts")).toMatchObject(done);
    expect(await cp("other:", "all")).toMatchObject(done);
    expect(await cp("other:code/.", "flat")).toMatchObject(done);
    expect(await cp("app", "dev:code")).toMatchObject(done);
    expect((await files("ls", "dev", "-R")).stdout).toBe(
      "code/\ncode/app/\ncode/app/main.ts\ncode/main.ts\ntwice.ts\n",
    );
    expect(await readdir(join(here, "all"))).toEqual(["code"]);
    expect(await readdir(join(here, "flat"))).toEqual(["main.ts"]);
    await cli.json(["delete", "other"]);
  });

  it("reads standard input and writes standard output", async () => {
    const put = await cli.run(["cp", "-", "dev:in.txt"], { input: "piped" });
    expect(put).toMatchObject(done);
    expect(await cp("dev:in.txt", "-")).toMatchObject({ ...done, stdout: "piped" });
    await mkdir(join(workspace, "dir"));
    expect((await cp("dev:dir", "-")).stderr).toContain("[WRONG_FILE_TYPE]");
  });

  it("says that a space is missing, and what is meant by a colon", async () => {
    await writeFile(join(here, "dev:x"), "colon");
    expect(await cp("a", "b")).toMatchObject({ code: 2 });
    expect(await cp("./dev:x", "dev:x")).toMatchObject(done);
    expect((await files("cat", "dev", "x")).stdout).toBe("colon");
    expect((await cp("nope:a", "b")).stderr).toContain("[SPACE_NOT_FOUND]");
  });
});

/** Tells at its end how much memory the process had at most. */
const WATCH = `process.on("exit", () => require("node:fs").writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)));`;

async function peakMiB(args: readonly string[]): Promise<number> {
  const peak = join(cli.home, "peak");
  const hook = await cli.write("watch.cjs", WATCH);
  const result = await cli.run(args, {
    cwd: here,
    env: { NODE_OPTIONS: `--require=${hook}`, PEAK_FILE: peak },
  });
  expect(result).toMatchObject({ code: 0 });
  return Number(await readFile(peak, "utf8")) / 1024;
}

describe("spaces files archive and extract", () => {
  beforeAll(() => cli.json(["create", "vault"]));

  it("write a directory into an archive, and back", async () => {
    await mkdir(join(workspace, "src/node_modules"), { recursive: true });
    await writeFile(join(workspace, "src/a"), "abc");
    await writeFile(join(workspace, "src/node_modules/b"), "b");
    await symlink("a", join(workspace, "src/link"));
    const exclude = ["--exclude", "node_modules", "--exclude", "*.log"];
    const archived = await files("archive", "dev:src", "vault:a.tgz", ...exclude);
    expect(archived).toMatchObject({ ...done, stderr: "" });
    expect(archived.stdout).toMatch(
      /^\/workspace\/a\.tgz: 2 entries, \d+ bytes, sha256 [0-9a-f]{64}\n$/,
    );
    const again = await files("archive", "dev", "vault:a.tgz");
    expect(again).toMatchObject({ code: 1, stdout: "" });
    expect(again.stderr).toContain("[FILE_EXISTS]");
    const forced = await files("archive", "dev", "vault:a.tgz", "--force", "--json");
    expect(JSON.parse(forced.stdout)).toMatchObject({ entries: 5, bytes: 4, skipped: [] });
    expect(await files("extract", "vault:a.tgz", "dev:out")).toMatchObject({
      ...done,
      stdout: "5 entries, 4 bytes\n",
    });
    expect(await readFile(join(workspace, "out/src/a"), "utf8")).toBe("abc");
    await writeFile(join(workspace, "out/more"), "x");
    expect(await files("extract", "vault:a.tgz", "dev:out")).toMatchObject({ code: 1 });
    expect(await files("extract", "vault:a.tgz", "dev:out", "--force")).toMatchObject(done);
    expect(await readdir(join(workspace, "out"))).toEqual(["more", "src"]);
    expect(await files("extract", "vault:a.tgz", "dev", "--clean")).toMatchObject(done);
    expect(await readdir(workspace)).toEqual(["src"]);
  });

  it("tell what was left out, with names that cannot deceive", async () => {
    await promisify(execFile)("mkfifo", [join(workspace, "bad\u001b[2Jfifo")]);
    const archived = await files("archive", "dev", "vault:b.tgz");
    expect(archived).toMatchObject(done);
    expect(archived.stderr).toContain("it is a FIFO");
    expect(archived.stderr).not.toContain("\u001b");
  });

  it.each([
    [["archive", "dev", "vault"], 2, "names no archive in a space"],
    [["archive", "dev", "vault:"], 2, "names no archive in a space"],
    [["archive", "dev", "./a.tgz"], 2, "names no archive in a space"],
    [["extract", "a.tgz", "dev"], 2, "names no archive in a space"],
    [["archive", "dev"], 2, "missing required argument 'to'"],
    [["archive", "none", "vault:a"], 1, "SPACE_NOT_FOUND"],
    [["archive", "dev:../..", "vault:a"], 1, "PATH_DENIED"],
    [["extract", "vault:none", "dev"], 1, "FILE_NOT_FOUND"],
  ])("refuse %j", async (args, code, problem) => {
    const result = await files(...args);
    expect(result).toMatchObject({ code, stdout: "" });
    expect(result.stderr).toContain(problem);
  });

  it("complete spaces and what is in them", async () => {
    await writeFile(join(workspace, "archive.tgz"), "");
    const ask = async (...words: string[]) => {
      const { stdout } = await cli.run(["__complete", "--", "files", ...words]);
      return stdout.split("\n").map((line) => line.split("\t")[0] ?? "");
    };
    expect(await ask("archive", "")).toEqual(["dev:", "vault:", ""]);
    expect(await ask("archive", "dev", "va")).toEqual(["vault:", ""]);
    expect(await ask("extract", "dev:ar")).toEqual(["dev:archive.tgz", ""]);
  });
});

describe("large files", () => {
  const MiB = 1024 * 1024;
  const SIZE = 400 * MiB;

  it("stream through put and get in bounded memory, and arrive unchanged", async () => {
    const block = randomBytes(MiB);
    const file = await open(join(here, "big"), "w");
    for (let n = 0; n < SIZE / MiB; n++) {
      block.writeUInt32LE(n);
      await file.write(block);
    }
    await file.close();
    const idle = await peakMiB(["files", "ls", "dev"]);
    expect(await peakMiB(["files", "put", "dev", "big"])).toBeLessThan(idle + 64);
    expect(await peakMiB(["files", "get", "dev", "big", "back"])).toBeLessThan(idle + 64);
    await expect(
      promisify(execFile)("cmp", [join(here, "big"), join(here, "back")]),
    ).resolves.toMatchObject({ stdout: "" });
  }, 120_000);

  it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "interrupted by %s leave no half file here",
    async (signal) => {
      await writeFile(join(workspace, "big"), Buffer.alloc(SIZE));
      await writeFile(join(here, "big"), "before");
      const child = spawn(process.execPath, [CLI, "files", "get", "dev", "big"], {
        cwd: here,
        env: cli.env,
        stdio: "ignore",
      });
      const ends = new Promise<number | null>((resolve) => child.on("close", resolve));
      const begun = async () => (await readdir(here)).some((name) => name.endsWith(".part"));
      await expect.poll(begun, { interval: 2, timeout: 20_000 }).toBe(true);
      child.kill(signal);
      const code = await ends;
      expect(await readFile(join(here, "big"), "utf8")).toBe("before");
      if (signal === "SIGKILL") return;
      expect(code).toBe(signal === "SIGINT" ? 130 : 143);
      expect(await readdir(here)).toEqual(["big"]);
    },
    60_000,
  );

  it("interrupted on their way into a space leave what was there", async () => {
    await writeFile(join(workspace, "big"), "before");
    const child = spawn(process.execPath, [CLI, "files", "put", "dev", "-", "big"], {
      env: cli.env,
      stdio: ["pipe", "ignore", "ignore"],
    });
    const ends = new Promise<number | null>((resolve) => child.on("close", resolve));
    child.stdin.on("error", () => child.stdin.destroy());
    const sent = new Promise<void>((resolve) =>
      child.stdin.write(Buffer.alloc(8 * MiB), () => resolve()),
    );
    await sent;
    child.kill("SIGTERM");
    expect(await ends).toBe(143);
    expect(await readFile(join(workspace, "big"), "utf8")).toBe("before");
    expect(await readdir(workspace)).toEqual(["big"]);
  });
});

describe("completion", () => {
  it("completes paths of spaces, and leaves out names that no shell takes", async () => {
    await mkdir(join(workspace, "src"));
    await writeFile(join(workspace, "src", "main.ts"), "");
    await writeFile(join(workspace, "src", "a\nb"), "");
    const ask = async (...words: string[]): Promise<string[]> => {
      const { stdout } = await cli.run(["__complete", "--", ...words]);
      return stdout.split("\n").map((line) => line.split("\t")[0] ?? "");
    };
    expect(await ask("files", "cat", "dev", "s")).toEqual(["src/", ""]);
    expect(await ask("files", "mv", "dev", "src/main.ts", "src/")).toEqual(["src/main.ts", ""]);
    expect(await ask("files", "put", "dev", "")).toEqual([":files", ""]);
    expect(await ask("cp", "de")).toEqual(["dev:", ":files", ""]);
    expect(await ask("cp", "dev:src/m")).toEqual(["dev:src/main.ts", ""]);
  });
});
