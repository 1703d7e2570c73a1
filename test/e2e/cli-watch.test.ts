import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliHome, type CliProcess } from "../support/cli.js";
import { PtyProcess } from "./cli-pty.js";

let cli: CliHome;
beforeEach(async () => {
  cli = await CliHome.make();
});
afterEach(async () => {
  await cli[Symbol.asyncDispose]();
});

/** Replaces a file as many editors do. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}~`, text);
  await rename(`${path}~`, path);
}

/** Starts a watched run and stops it at the end of the test as Ctrl-C does. */
async function watching(
  path: string,
  check: (run: CliProcess) => Promise<void>,
  ...flags: string[]
): Promise<void> {
  const run = cli.start([...flags, "run", "--watch", path]);
  try {
    await check(run);
  } finally {
    run.child.kill("SIGINT");
  }
  expect(await run.ended).toMatchObject({ code: 130 });
}

describe("spaces run --watch", () => {
  it("runs again when the script changes, is replaced, goes and comes back", async () => {
    const path = await cli.write("main.ts", "console.log('run 1')");
    await watching(path, async (run) => {
      await run.printed("run 1");
      await writeFile(path, "console.log('run 2')");
      await run.printed("run 2");
      await replace(path, "console.log('run 3')");
      await run.printed("run 3");
      await rm(path);
      await replace(path, "console.log('run 4')");
      await run.printed("run 4");
      await writeFile(path, "not a script");
      await writeFile(path, "console.log('run 5')");
      await run.printed("run 5");
    });
  });

  it("runs again when a module changes, also one that was not there", async () => {
    const lib = await cli.write("lib/names.ts", "export const name = 'first'");
    const path = await cli.write(
      "main.ts",
      "import { name } from './lib/names.ts';" +
        "const more = await import('./extra/more.ts').catch(() => ({ more: 'nothing' }));" +
        "console.log(name, more.more)",
    );
    const extra = join(dirname(path), "extra", "more.ts");
    await watching(path, async (run) => {
      await run.printed("first nothing");
      await replace(lib, "export const name = 'second'");
      await run.printed("second nothing");
      await mkdir(dirname(extra));
      await writeFile(extra, "export const more = 'something'");
      await run.printed("second something");
      await rm(dirname(lib), { recursive: true });
      await mkdir(dirname(lib));
      await writeFile(lib, "export const name = 'third'");
      await run.printed("third something");
    });
  });

  it("sees changes behind a symbolic link", async () => {
    const target = await cli.write("elsewhere/target.ts", "console.log('old target')");
    const path = join(dirname(target), "..", "link.ts");
    await symlink(target, path);
    await watching(path, async (run) => {
      await run.printed("old target");
      await writeFile(target, "console.log('new target')");
      await run.printed("new target");
    });
  });

  it("cancels a run that is under way, and waits after one that failed", async () => {
    const path = await cli.write("main.ts", "console.log('endless'); for (;;);");
    await watching(path, async (run) => {
      await run.printed("endless");
      await replace(path, "console.log('failing'); missing()");
      await run.printed("failing");
      await replace(path, "const a: number = ; console.log('wrong')");
      await replace(path, "console.log('fine')");
      await run.printed("fine");
    });
  });

  it("prints a result for each run with --json", async () => {
    const path = await cli.write("main.ts", "console.log('run 1')");
    const run = cli.start(["--json", "run", "--watch", path]);
    await run.printed("run 1");
    await replace(path, "console.log('run 2'); missing()");
    await run.printed("run 2");
    run.child.kill("SIGINT");
    const { code, stdout, stderr } = await run.ended;
    expect(code).toBe(130);
    expect(stderr).toBe("");
    const results = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(results).toMatchObject([
      { exitCode: 0, output: "run 1\n" },
      { exitCode: 1, output: "run 2\n", error: { code: "SCRIPT_FAILED" } },
    ]);
  });

  it("clears the screen at a terminal only, and says what it waits for", async () => {
    const path = await cli.write("main.ts", "console.log('run 1')");
    const terminal = new PtyProcess(["run", "--watch", path], cli.env);
    await terminal.sees(/run 1/);
    await terminal.sees(/Waiting for .*main\.ts to change/);
    await replace(path, "console.log('run 2')");
    await terminal.sees(/\u001b\[2J\u001b\[3J\u001b\[Hrun 2/);
    terminal.type("\u0003");
    expect(await terminal.ended).toMatchObject({ code: 130, restored: true });
    const piped = cli.start(["run", "--watch", path]);
    await piped.printed("run 2");
    await replace(path, "console.log('run 3')");
    await piped.printed("run 3");
    piped.child.kill("SIGINT");
    expect((await piped.ended).stdout).toBe("run 2\nrun 3\n");
  });

  it("refuses what is no file", async () => {
    await cli.json(["scripts", "save", await cli.write("stored.ts", "1")]);
    for (const given of ["-", "stored"]) {
      const result = await cli.run(["run", "--watch", given], { input: "1" });
      expect(result.code).toBe(2);
      expect(result.stderr).toContain("--watch needs a file");
    }
    const missing = await cli.run(["run", "--watch", "./missing.ts"]);
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.stderr).toContain("[SCRIPT_NOT_FOUND]");
  });
});
