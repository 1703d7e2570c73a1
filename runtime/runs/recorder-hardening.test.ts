import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunsDirectory } from "./directory.js";
import { JournalReader } from "./journal-reader.js";
import { LINE_BYTES } from "./limits.js";
import { RunRecorder } from "./recorder.js";

let dataDir: string;
let troubles: string[];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "spaces-runs-"));
  troubles = [];
});

afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

function begin(): RunRecorder {
  return RunRecorder.begin(
    {
      script: { filename: "a.ts", language: "typescript" },
      source: "1",
      args: [],
      actor: { id: "me", name: "me" },
      binding: "in-process",
      trigger: { kind: "api" },
      permissions: {},
      limits: {},
    },
    { dataDir, onTrouble: (message) => troubles.push(message) },
  );
}

/** Runs a script's life through a recorder. */
async function record(): Promise<RunRecorder> {
  const recorder = begin();
  recorder.output("stdout", "hello\n");
  await recorder.call({ name: "spaces.list", json: "{}", input: {} }, async () => []);
  recorder.module("./lib.ts", "source");
  await recorder.end({ status: "succeeded", exitCode: 0 });
  return recorder;
}

describe("a run of very many secrets", () => {
  it("keeps no output behind them, and takes them out of what was printed before", async () => {
    const recorder = begin();
    recorder.output("stdout", "the last is secret-4999\n");
    const began = performance.now();
    for (let n = 0; n < 5_000; n++) {
      const input = { space: "a", field: "key", value: `secret-${n}` };
      const call = { name: "fields.set", json: JSON.stringify(input), input };
      await recorder.call(call, async () => ({ secret: true }));
    }
    // To look for all of them after each call would take half a minute.
    expect(performance.now() - began).toBeLessThan(10_000);
    recorder.output("stdout", "not kept\n");
    const error = { code: "SCRIPT_FAILED", message: "secret-4998 is not right" };
    const run = await recorder.end({ status: "failed", exitCode: 1, error });
    expect(run).toMatchObject({ limitsHit: ["output"], calls: 5_000 });
    const journal = readFileSync(new RunsDirectory(dataDir).journalOf(recorder.id), "utf8");
    expect(journal).toContain("output was not kept any more behind 1000 secrets");
    expect(journal).not.toMatch(/secret-4|not kept\\n/);
  });
});

describe("a run of very many calls", () => {
  it("keeps a secret out at once, also where it was printed long ago", async () => {
    const recorder = begin();
    recorder.output("stdout", "the key is hunt");
    recorder.output("stderr", "elsewhere\n");
    recorder.output("stdout", "er2-hunter2\n");
    const call = { name: "spaces.list", json: "{}", input: {} };
    for (let n = 0; n < 20_000; n++) await recorder.call(call, async () => undefined);
    recorder.keepOut(["hunter2-hunter2"]);
    const began = performance.now();
    for (let n = 0; n < 100; n++) recorder.keepOut([`another secret, number ${n}`]);
    // To read the journal each time would take more than a second.
    expect(performance.now() - began).toBeLessThan(500);
    await recorder.end({ status: "succeeded", exitCode: 0 });
    const journal = readFileSync(new RunsDirectory(dataDir).journalOf(recorder.id), "utf8");
    expect(journal).toContain(`the key is ${"*".repeat(4)}`);
    expect(journal).not.toMatch(/hunt|er2-/);
    expect(
      journal
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).t),
    ).toHaveLength(40_005);
  });
});

describe("a run that cannot be recorded", () => {
  it.each(["runs", "runs/sources", "runs/kept"])(
    "goes on, and writes nothing through a link %s",
    async (place) => {
      const elsewhere = join(dataDir, "elsewhere");
      mkdirSync(elsewhere);
      if (place !== "runs") mkdirSync(join(dataDir, "runs"));
      symlinkSync(elsewhere, join(dataDir, place));
      const recorder = await record();
      expect(recorder.run).toMatchObject({ status: "succeeded", calls: 1 });
      expect(troubles.length).toBeGreaterThan(0);
      expect(troubles[0]).toContain(recorder.id);
      expect(readdirSync(elsewhere)).toEqual([]);
    },
  );

  it("goes on where a file stands in the way", async () => {
    writeFileSync(join(dataDir, "runs"), "");
    expect((await record()).run.status).toBe("succeeded");
    expect(troubles.length).toBe(1);
  });

  it("goes on when its directory is deleted meanwhile", async () => {
    const recorder = begin();
    rmSync(join(dataDir, "runs"), { recursive: true });
    recorder.output("stdout", "hello\n");
    recorder.module("./lib.ts", "source");
    await recorder.end({ status: "succeeded", exitCode: 0 });
    expect(recorder.run.status).toBe("succeeded");
    expect(existsSync(join(dataDir, "runs"))).toBe(false);
  });

  it("goes on with a key that is none, and leaves the digests out", async () => {
    writeFileSync(join(dataDir, "secrets.key"), "short");
    const recorder = await record();
    expect(troubles[0]).toContain("secrets.key");
    const journal = readFileSync(join(dataDir, "runs", `${recorder.id}.jsonl`), "utf8");
    expect(journal).toContain('"procedure":"spaces.list","input":""');
  });
});

const mounted = mkdtempSync(join(tmpdir(), "spaces-small-disk-"));
const canMount =
  process.platform === "linux" &&
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", mounted]).status === 0;
if (canMount) spawnSync("umount", [mounted]);
rmSync(mounted, { recursive: true });

describe.skipIf(!canMount)("a run on a disk that is full", () => {
  beforeEach(() => {
    spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", dataDir]);
  });
  afterEach(() => {
    spawnSync("umount", [dataDir]);
  });

  it("goes on, and its record says how much is missing", async () => {
    const recorder = begin();
    for (let i = 0; i < 40; i++) recorder.output("stdout", `${i} ${"x".repeat(4000)}\n`);
    const filled = readdirSync(join(dataDir, "runs"));
    expect(filled.length).toBeGreaterThan(0);
    expect(troubles.length).toBe(1);
    expect(troubles[0]).toContain("ENOSPC");
    // Somebody makes room.
    rmSync(join(dataDir, "runs", "sources"), { recursive: true });
    await recorder.end({ status: "succeeded", exitCode: 0 });
    const text = readFileSync(join(dataDir, "runs", `${recorder.id}.jsonl`), "utf8");
    const lines = text.trimEnd().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ t: "end", status: "succeeded" });
    expect(text).toMatch(/\d+ entries of this record could not be written/);
    await using reader = await JournalReader.open(new RunsDirectory(dataDir), recorder.id);
    const kinds: string[] = [];
    for await (const { line } of reader?.lines() ?? []) kinds.push(line.t);
    expect(kinds[0]).toBe("start");
    expect(kinds.at(-1)).toBe("end");
  });

  it("writes its end as soon as there is room", async () => {
    const recorder = begin();
    const filler = join(dataDir, "filler");
    spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1k", "count=100"]);
    for (let i = 0; i < 5; i++) recorder.output("stdout", "x".repeat(4000));
    await recorder.end({ status: "failed", exitCode: 3 });
    rmSync(filler);
    const journal = join(dataDir, "runs", `${recorder.id}.jsonl`);
    await expect
      .poll(() => readFileSync(journal, "utf8"), { timeout: 5_000 })
      .toContain('"status":"failed"');
  });
});

describe("the reader of a journal", () => {
  const read = async (text: string): Promise<{ kinds: [number, string][]; isTorn: boolean }> => {
    const directory = new RunsDirectory(dataDir);
    const id = "run_00000000000000000000";
    mkdirSync(join(dataDir, "runs"), { recursive: true });
    writeFileSync(directory.journalOf(id), text);
    await using reader = await JournalReader.open(directory, id);
    const kinds: [number, string][] = [];
    for await (const { seq, line } of reader?.lines() ?? []) kinds.push([seq, line.t]);
    return { kinds, isTorn: reader?.isTorn ?? false };
  };
  const out = '{"t":"out","at":1,"s":"stdout","text":"x"}';

  it("leaves out what is no line, and counts it all the same", async () => {
    const forged = [
      '{"t":"out"}',
      "[]",
      "null",
      '{"t":"end","status":"running"}',
      '{"t":"call","seq":-1}',
      "\u0000",
      "",
    ];
    const { kinds, isTorn } = await read(`${forged.join("\n")}\n${out}\n${out.slice(0, 20)}`);
    expect(kinds).toEqual([[forged.length, "out"]]);
    expect(isTorn).toBe(true);
  });

  it("does not choke on a line without end", async () => {
    const long = "x".repeat(LINE_BYTES * 2 + 17);
    expect((await read(`${long}\n${out}\n`)).kinds).toEqual([[1, "out"]]);
    expect((await read(long)).isTorn).toBe(true);
  });

  it("finds no journal in a link, a directory or a pipe", async () => {
    const directory = new RunsDirectory(dataDir);
    mkdirSync(join(dataDir, "runs", "run_1.jsonl"), { recursive: true });
    expect(await JournalReader.open(directory, "run_1")).toBeUndefined();
    writeFileSync(join(dataDir, "target"), `${out}\n`);
    symlinkSync(join(dataDir, "target"), directory.journalOf("run_2"));
    expect(await JournalReader.open(directory, "run_2")).toBeUndefined();
    if (process.platform !== "linux") return;
    spawnSync("mkfifo", [directory.journalOf("run_3")]);
    expect(await JournalReader.open(directory, "run_3")).toBeUndefined();
  });
});
