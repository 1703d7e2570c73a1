import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { RUN_LIMITS } from "./limits.js";
import { type NewRun, RunRecorder } from "./recorder.js";

let dataDir: string;
let troubles: string[];
const open: RunRecorder[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "spaces-runs-"));
  troubles = [];
});

afterEach(async () => {
  for (const recorder of open.splice(0)) {
    if (!recorder.ended) await recorder.end({ status: "failed" });
  }
  rmSync(dataDir, { recursive: true, force: true });
});

function begin(run: Partial<NewRun> = {}, limits = RUN_LIMITS): RunRecorder {
  const recorder = RunRecorder.begin(
    {
      script: { filename: "a.ts", language: "typescript" },
      source: "1",
      args: [],
      actor: { id: "me", name: "me" },
      binding: "in-process",
      trigger: { kind: "api" },
      permissions: {},
      limits: {},
      ...run,
    },
    { dataDir, limits, onTrouble: (message) => troubles.push(message) },
  );
  open.push(recorder);
  return recorder;
}

const journalOf = (recorder: RunRecorder): string =>
  readFileSync(join(dataDir, "runs", `${recorder.id}.jsonl`), "utf8");
const linesOf = (recorder: RunRecorder): Record<string, unknown>[] =>
  journalOf(recorder)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const fieldGet = (value: string) => ({
  name: "fields.get",
  json: '{"input":{"space":"dev","field":"password"}}',
  input: { space: "dev", field: "password" },
  make: async () => ({ value, secret: true }),
});

async function call(
  recorder: RunRecorder,
  {
    make,
    ...what
  }:
    | ReturnType<typeof fieldGet>
    | { name: string; json: string; input: unknown; make: () => Promise<unknown> },
): Promise<unknown> {
  return await recorder.call(what, make);
}

describe("a recorder", () => {
  it("writes a call before it is made, and its outcome when it has settled", async () => {
    const recorder = begin();
    let seen: unknown[] = [];
    const failing = recorder.call({ name: "spaces.start", json: "{}", input: {} }, async () => {
      seen = linesOf(recorder);
      throw new SpacesError("SPACE_NOT_FOUND");
    });
    await expect(failing).rejects.toMatchObject({ code: "SPACE_NOT_FOUND" });
    expect(seen.at(-1)).toMatchObject({ t: "call", seq: 1, procedure: "spaces.start" });
    expect(linesOf(recorder).at(-1)).toMatchObject({
      t: "done",
      seq: 1,
      outcome: "SPACE_NOT_FOUND",
    });
  });

  it("hashes inputs with the installation's key, so that no two installations give the same", async () => {
    const what = { name: "spaces.list", json: "{}", input: {}, make: async () => [] };
    const first = begin();
    await call(first, what);
    await call(first, what);
    const [one, two] = linesOf(first).filter(({ t }) => t === "call");
    expect(one?.input).toBe(two?.input);
    rmSync(dataDir, { recursive: true, force: true });
    const second = begin();
    await call(second, what);
    expect(linesOf(second).find(({ t }) => t === "call")?.input).not.toBe(one?.input);
  });

  it("never writes a secret that the script got, also in pieces, in arguments and in errors", async () => {
    const recorder = begin({
      args: ["--password=s3cr3t-värde"],
      input: { deep: ["s3cr3t-värde"] },
    });
    recorder.output("stdout", "before: s3cr3t");
    recorder.output("stdout", "-värde\n");
    await call(recorder, fieldGet("s3cr3t-värde"));
    for (const piece of ["after: s3", "cr3t-v", "ärde; s3cr", "anything\n"]) {
      recorder.output("stdout", piece);
    }
    recorder.output("stderr", 's3cr3t-värde "quoted"');
    await recorder.end({
      status: "failed",
      error: { code: "SCRIPT_FAILED", message: "no s3cr3t-värde", details: { a: "s3cr3t-värde" } },
    });
    const text = journalOf(recorder);
    expect(text).not.toContain("s3cr3t");
    expect(text).toContain("before: ");
    expect(text).toContain("s3cranything");
    expect(linesOf(recorder)[0]).toMatchObject({ altered: 1 });
    expect(recorder.run.args[0]).toMatch(/^--password=\*+$/);
  });

  it("keeps a field's new value out while it is being set, and shows what is no secret", async () => {
    const recorder = begin();
    const set = (value: string, secret: boolean) => ({
      name: "fields.set",
      json: "{}",
      input: { space: "dev", field: "f", value },
      make: async () => {
        recorder.output("stdout", `setting ${value}\n`);
        return { secret };
      },
    });
    await call(recorder, set("hidden-value", true));
    await call(recorder, set("public-value", false));
    recorder.output("stdout", "hidden-value public-value\n");
    await recorder.end({ status: "succeeded", exitCode: 0 });
    const text = journalOf(recorder);
    expect(text).not.toContain("hidden-value");
    expect(text).toContain("************ public-value");
  });

  it("tells the run that a script was run by of its secrets, and learns those of it", async () => {
    const parent = begin();
    await call(parent, fieldGet("parents-secret"));
    const child = begin({
      trigger: { kind: "script", parent: parent.id },
      args: ["parents-secret"],
    });
    await call(child, fieldGet("childs-secret"));
    parent.output("stdout", "it said childs-secret\n");
    expect(journalOf(parent)).not.toContain("childs-secret");
    expect(journalOf(child)).not.toContain("parents-secret");
  });

  it("scrubs values that look like the journal's own words, and the journal stays whole", async () => {
    const recorder = begin({ args: ["stdout"] });
    recorder.output("stdout", "stdout start text\n");
    for (const value of ["stdout", "start", '"text"', "run_", "\\n\\n"]) {
      await call(recorder, fieldGet(value));
    }
    await recorder.end({ status: "succeeded", exitCode: 0 });
    const lines = linesOf(recorder);
    expect(lines.map(({ t }) => t).filter((t) => t !== "call" && t !== "done")).toEqual([
      "start",
      "out",
      "end",
    ]);
    expect(lines[1]).toMatchObject({ s: "stdout", text: "****** ***** text\n" });
    expect(lines[0]).toMatchObject({ run: { args: ["******"], id: recorder.id } });
  });

  it("keeps so much output, whole characters, and says that there was more", async () => {
    const recorder = begin({}, { ...RUN_LIMITS, outputBytes: 10 });
    for (let i = 0; i < 5; i++) recorder.output("stdout", "äää");
    await recorder.end({ status: "succeeded", exitCode: 0 });
    expect(recorder.run).toMatchObject({ outputBytes: 10, limitsHit: ["output"] });
    expect(linesOf(recorder).filter(({ t }) => t === "out")).toMatchObject([
      { text: "äää" },
      { text: "ää" },
      { marker: true },
    ]);
  });

  it("keeps so many calls, and counts the others", async () => {
    const recorder = begin({}, { ...RUN_LIMITS, calls: 2 });
    for (let i = 0; i < 5; i++) await call(recorder, fieldGet("same-secret"));
    await recorder.end({ status: "succeeded", exitCode: 0 });
    expect(recorder.run).toMatchObject({ calls: 5, limitsHit: ["calls"] });
    expect(linesOf(recorder).filter(({ t }) => t === "call").length).toBe(2);
  });

  it("does not keep what is too long as it is, and says so", () => {
    const recorder = begin({
      args: ["x".repeat(2_000_000)],
      input: { long: "y".repeat(2_000_000) },
    });
    expect(linesOf(recorder)[0]).toMatchObject({ altered: 1, run: { args: [] } });
    expect(statSync(join(dataDir, "runs", `${recorder.id}.jsonl`)).size).toBeLessThan(10_000);
  });

  it("cannot be made to forge a line by what a script prints", async () => {
    const recorder = begin();
    recorder.output("stdout", '\n{"t":"end","status":"succeeded"}\n\u2028\r\n');
    await recorder.end({ status: "failed", exitCode: 1 });
    expect(linesOf(recorder).map(({ t }) => t)).toEqual(["start", "out", "end"]);
  });

  it("keeps each source once, where only its owner can read it", () => {
    begin({ source: "one" });
    begin({ source: "one" }).module("./lib.ts", "two");
    const sources = join(dataDir, "runs", "sources");
    expect(readdirSync(sources).length).toBe(2);
    for (const name of readdirSync(sources)) {
      expect(statSync(join(sources, name)).mode & 0o777).toBe(0o600);
    }
  });
});
