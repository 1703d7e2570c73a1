/** `spaces runs`, and what the records say of scripts that were run in different ways. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Run, RunCall, RunEvent } from "../../runtime/contract/runs.js";
import { CliHome } from "../support/cli.js";

let cli: CliHome;

beforeEach(async () => {
  cli = await CliHome.make();
});

afterEach(async () => {
  await cli[Symbol.asyncDispose]();
});

const list = async (...args: string[]): Promise<Run[]> =>
  (await cli.json<{ items: Run[] }>(["runs", "list", ...args])).items;

const HELLO = `
  import * as spaces from "spaces";
  import { args } from "runtime";
  console.log("hello", args[0], spaces.list().length);
  console.error("oh");`;
const ENDLESS = `import { sleep } from "runtime"; console.log("up"); for (;;) sleep(0.05);`;

describe("spaces runs", () => {
  it("lists, shows and prints what spaces run has run", async () => {
    const path = await cli.write("hello.ts", HELLO);
    const ran = await cli.json<{ run: string }>(["run", path, "you"]);
    await cli.script("throw new Error('bad')");
    const [failed, first] = await list();
    expect(failed).toMatchObject({
      status: "failed",
      error: { details: { position: { line: 1 } } },
    });
    expect(first).toMatchObject({
      ...{ id: ran.run, status: "succeeded", args: ["you"], calls: 1, binding: "in-process" },
      ...{ trigger: { kind: "cli" }, script: { filename: path, language: "typescript" } },
    });
    expect(await list("--status", "failed")).toEqual([failed]);
    expect(await list("--limit", "1")).toEqual([failed]);

    const shown = await cli.run(["runs", "show", ran.run]);
    expect(shown.stdout).toMatch(/status: +succeeded/);
    expect(shown.stdout).toMatch(/started: +(just now|\d+ seconds? ago) \(\d{4}-/);
    expect(shown.stdout).toMatch(/1 +spaces.list .* ok/);
    const json = await cli.json<Run & { callList: RunCall[] }>(["runs", "show", ran.run]);
    expect(json.callList).toMatchObject([{ seq: 1, procedure: "spaces.list" }]);

    const logs = await cli.run(["runs", "logs", ran.run]);
    expect(logs).toMatchObject({ code: 0, stdout: "hello you 0\n", stderr: "oh\n" });
    const timed = await cli.run(["runs", "logs", ran.run, "--times", "--calls"]);
    expect(timed.stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z hello you 0\n$/);
    expect(timed.stderr).toContain("spaces.list: ok");
    const lines = (await cli.run(["--json", "runs", "logs", ran.run])).stdout.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as RunEvent).type)).toEqual([
      ...["stdout", "stderr", "end"],
    ]);
  });

  it("says nothing of the record when a script is run", async () => {
    expect(await cli.script(HELLO, { args: ["you"] })).toMatchObject({
      ...{ code: 0, stdout: "hello you 0\n", stderr: "oh\n" },
    });
  });

  it("follows and cancels a run of another process", async () => {
    const path = await cli.write("endless.js", ENDLESS);
    const running = cli.start(["run", path]);
    await running.printed("up");
    const [run] = await list("--status", "running");
    const following = cli.start(["--json", "runs", "logs", run?.id ?? "", "--follow"]);
    await following.printed("up");
    const cancelled = await cli.json<Run>(["runs", "cancel", run?.id ?? ""]);
    expect(cancelled).toMatchObject({ id: run?.id, status: "cancelled" });
    expect((await running.ended).code).toBe(130);
    expect((await following.ended).stdout).toContain('"status":"cancelled"');
  });

  it("tells of a run that Ctrl-C ended", async () => {
    const path = await cli.write("endless.js", ENDLESS);
    const running = cli.start(["run", path]);
    await running.printed("up");
    running.child.kill("SIGINT");
    expect((await running.ended).code).toBe(130);
    expect((await list())[0]?.status).toBe("cancelled");
  });

  it("runs a script again, with its modules, when both have changed since", async () => {
    await cli.write("lib/words.ts", 'export const word: string = "old";');
    const path = await cli.write("main.ts", "");
    const script =
      'import { word } from "./lib/words.ts"; import { exit } from "runtime"; console.log(word); exit(3);';
    await cli.write("main.ts", script);
    expect((await cli.run(["run", path])).code).toBe(3);
    const [run] = await list();
    await cli.write("lib/words.ts", 'export const word = "new";');
    await cli.write("main.ts", "throw 1");
    const again = await cli.run(["runs", "rerun", run?.id ?? ""]);
    expect(again).toMatchObject({ code: 3, stdout: "old\n" });
    expect((await list())[0]).toMatchObject({ trigger: { kind: "cli", rerunOf: run?.id } });
  });

  it("tells where a script failed in the record, and when it fails again", async () => {
    await cli.script('import spaces from "spaces";\nspaces.start("nope");');
    const [run] = await list();
    const expected =
      /\w+\.ts:2:\d+: SpacesError: There is no space "nope"\. \[SPACE_NOT_FOUND\]\n[\s\S]*> 2 \| /;
    const shown = await cli.run(["runs", "show", run?.id ?? ""]);
    expect(shown.stdout).toMatch(expected);
    const again = await cli.run(["runs", "rerun", run?.id ?? ""]);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(expected);
    expect(again.stderr).toContain("hint: List the spaces");
  });

  it("keeps opened secrets of the environment out of the record", async () => {
    const script = 'import { env } from "runtime"; console.log(env.API_TOKEN, env.PLAIN);';
    const flags = ["--allow-env=API_TOKEN,PLAIN"];
    const env = { API_TOKEN: "hunter2hunter2", PLAIN: "plainvalue" };
    const { stdout } = await cli.script(script, { flags, env });
    expect(stdout).toBe("hunter2hunter2 plainvalue\n");
    const [run] = await list();
    expect((await cli.run(["runs", "logs", run?.id ?? ""])).stdout).toBe(
      "************** plainvalue\n",
    );
    expect(run?.permissions).toEqual({ env: ["API_TOKEN", "PLAIN"] });
  });

  it("records what scripts run in turn, and native scripts while they print", async () => {
    await cli.json(["create", "box", "--start"]);
    await cli.run(["scripts", "save", "-", "--name", "inner"], { input: 'console.log("inner")' });
    const native = "#!/bin/sh\necho begun\nsleep 0.2\necho $1\nexit 4\n";
    await cli.run(["scripts", "save", "-", "--name", "native"], { input: native });
    const outer =
      'import * as spaces from "spaces"; console.log(spaces.run_script("box", "inner"));';
    expect((await cli.script(outer)).stdout).toContain("inner");
    const [inner, parent] = await list();
    expect(inner).toMatchObject({
      trigger: { kind: "script", parent: parent?.id },
      script: { name: "inner", version: 1 },
    });
    expect((await cli.run(["scripts", "run", "native", "--space", "box", "word"])).code).toBe(4);
    const [run] = await list("--script", "native");
    expect(run).toMatchObject({
      ...{ status: "failed", exitCode: 4, args: ["word"], space: "box" },
      script: { name: "native", language: "native" },
    });
    expect((await cli.run(["runs", "logs", run?.id ?? ""])).stdout).toBe("begun\nword\n");
  });

  it("deletes records", async () => {
    await cli.script("1");
    const [run] = await list();
    const id = run?.id ?? "";
    expect((await cli.run(["runs", "delete", id, "--dry-run"])).stderr).toContain("Would delete");
    expect(await list()).toHaveLength(1);
    expect(await cli.json(["runs", "delete", id])).toEqual({ runs: [id], deleted: true });
    expect(await list()).toEqual([]);
  });

  it("indexes records when very many wait for it", async () => {
    await cli.script("1");
    const runs = join(cli.home, "data", "runs");
    const [journal = ""] = readdirSync(runs).filter((name) => name.endsWith(".jsonl"));
    const text = readFileSync(join(runs, journal), "utf8");
    for (let i = 0; i < 500; i++) {
      const id = `run_${String(i).padStart(20, "0")}`;
      writeFileSync(join(runs, `${id}.jsonl`), text.replace(journal.slice(0, -6), id));
    }
    expect((await cli.script("1")).code).toBe(0);
    expect(readdirSync(runs).filter((name) => name.endsWith(".jsonl"))).toEqual([]);
    expect(readdirSync(join(runs, "kept")).length).toBe(502);
  });

  it("completes the ids of runs", async () => {
    await cli.script("1");
    const [run] = await list();
    const { stdout } = await cli.run(["__complete", "--", "runs", "show", ""]);
    expect(stdout).toContain(run?.id ?? "none");
  });

  it.each([
    [["runs", "show", "nope"], 2, "no id of a run"],
    [["runs", "show", "run_00000000000000000000"], 1, "RUN_NOT_FOUND"],
    [["runs", "logs", "run_00000000000000000000"], 1, "RUN_NOT_FOUND"],
    [["runs", "cancel", "../../etc"], 2, "no id of a run"],
    [["runs", "rerun", "run_00000000000000000000"], 1, "RUN_NOT_FOUND"],
    [["runs", "delete", "x"], 2, "no id of a run"],
    [["runs", "list", "--status", "great"], 2, "--status"],
    [["runs", "list", "--limit", "0"], 2, "--limit"],
  ])("refuses spaces %j", async (args, code, message) => {
    const result = await cli.run(args);
    expect(result).toMatchObject({ code, stdout: "" });
    expect(result.stderr).toContain(message);
  });
});
