/** The ready scripts of `scripts/`, run as their own comments say. */
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliHome, drivers } from "../support/cli.js";
import { ServedProcess } from "../support/server-process.js";

/** What the quickstart prints, whichever driver and binding it meets. */
const QUICKSTART = new RegExp(
  [
    "^Created space: (spc_[0-9a-v]{20})",
    "Space started, running: true",
    "Command output: Hello from test-space",
    "Lines written: 3 \\(exit code 0\\)",
    "Environment: testing",
    "API Key: sk-test-key",
    "Description: Updated test environment",
    "Space stopped",
    "Space deleted",
    "$",
  ].join("\n"),
);

describe.each(await drivers())("ready scripts on $driver", ({ driver, available }) => {
  describe.skipIf(!available)("run from the repository", () => {
    /** For what does not depend on the driver. */
    const once = it.skipIf(driver !== "virtual");
    let cli: CliHome;
    beforeEach(async () => {
      cli = await CliHome.make(driver);
    });
    afterEach(async () => {
      await cli[Symbol.asyncDispose]();
    });

    const names = async (): Promise<string[]> => {
      const { items } = await cli.json<{ items: { name: string }[] }>(["list"]);
      return items.map((space) => space.name).sort();
    };
    const status = async (name: string): Promise<string> =>
      (await cli.json<{ status: string }>(["show", name])).status;
    const create = async (...args: string[]): Promise<void> => {
      expect(await cli.run(["create", ...args])).toMatchObject({ code: 0 });
    };

    it("quickstart shows the whole life of a space, and leaves nothing", async () => {
      const result = await cli.run(["run", "scripts/quickstart.ts", "--driver", driver]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(result.stdout).toMatch(QUICKSTART);
      expect(await names()).toEqual([]);
      if (driver === "docker") {
        const id = /spc_[0-9a-v]{20}/.exec(result.stdout)?.[0];
        const filters = { label: [`spaces.space=${id}`] };
        expect(await new Docker().listContainers({ all: true, filters })).toEqual([]);
      }
    });

    it("quickstart does the same on a server, and leaves nothing there", async () => {
      await using server = await ServedProcess.start({
        dataDir: join(cli.home, "server"),
        driver,
        env: { SPACES_DEFAULT_IMAGE: cli.env.SPACES_DEFAULT_IMAGE ?? "" },
      });
      const records = join(cli.home, "records");
      const env = {
        SPACES_HOME: records,
        SPACES_DRIVER: undefined,
        SPACES_URL: server.url,
        SPACES_TOKEN: server.adminToken,
      };
      const result = await cli.run(["run", "scripts/quickstart.ts"], { env });
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(result.stdout).toMatch(QUICKSTART);
      expect(await cli.json(["list"], { env })).toEqual({ items: [] });
      // The run is recorded here; everything else was done by the server's engine.
      expect(readdirSync(records)).toEqual(["runs", "secrets.key"]);
    });

    once("quickstart takes a name, and starts afresh where a killed run left a space", async () => {
      await create("again", "--start");
      const result = await cli.run(["run", "scripts/quickstart.ts", "again"]);
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(result.stdout).toContain("Command output: Hello from again\n");
      expect(await names()).toEqual([]);
    });

    it("stop-idle stops what has been idle, and nothing with --dry-run", async () => {
      await create("idle", "--start");
      await create("stopped");
      const run = (...args: string[]) => cli.run(["run", "scripts/stop-idle.ts", "--", ...args]);
      expect(await run()).toMatchObject({ code: 0, stdout: "" });
      const dry = await run("0", "--dry-run");
      expect(dry).toMatchObject({ code: 0 });
      expect(dry.stdout).toMatch(/^would stop idle \(idle since \d{4}-\S+Z\)\n$/);
      expect(await status("idle")).toBe("running");
      const real = await run("0");
      expect(real).toMatchObject({ code: 0 });
      expect(real.stdout).toMatch(/^stopped idle \(idle since \d{4}-\S+Z\)\n$/);
      expect(await status("idle")).toBe("stopped");
    });

    it("stop-idle leaves a space in which a command runs", async () => {
      await create("busy", "--start");
      const waiting = "until [ -e done ]; do sleep 0.05; done";
      const busy = cli.run(["exec", "busy", "-c", waiting]);
      const activity = async () =>
        (await cli.json<{ activity?: string }>(["show", "busy"])).activity;
      await expect.poll(activity, { timeout: 20_000, interval: 20 }).toBe("busy");
      const result = await cli.run(["run", "scripts/stop-idle.ts", "0"]);
      expect(await cli.run(["files", "put", "busy", "-", "done"])).toMatchObject({ code: 0 });
      expect(result).toMatchObject({ code: 0, stdout: "" });
      expect(await busy).toMatchObject({ code: 0 });
      expect(await status("busy")).toBe("running");
    });

    once("prune deletes what has been stopped for long, and nothing with --dry-run", async () => {
      await create("stopped");
      await create("running", "--start");
      const run = (...args: string[]) => cli.run(["run", "scripts/prune.ts", "--", ...args]);
      expect(await run()).toMatchObject({ code: 0, stdout: "" });
      const dry = await run("0", "--dry-run");
      expect(dry).toMatchObject({ code: 0 });
      expect(dry.stdout).toMatch(/^would delete stopped \(last changed \d{4}-\S+Z\)\n$/);
      expect(await names()).toEqual(["running", "stopped"]);
      const real = await run("0");
      expect(real).toMatchObject({ code: 0 });
      expect(real.stdout).toMatch(/^deleted stopped \(last changed \d{4}-\S+Z\)\n$/);
      expect(await names()).toEqual(["running"]);
    });

    once("health ends with 1 once a space is in error, and says why", async () => {
      expect(await cli.run(["run", "scripts/health.ts"])).toMatchObject({
        code: 0,
        stdout: "0 spaces, 0 in error\n",
      });
      const source = 'name: broken\nstartup: ["echo trouble >&2; test -e mended"]\n';
      await cli.run(["templates", "apply", "-f", "-"], { input: source });
      await create("good");
      await create("bad", "--template", "broken");
      expect(await cli.run(["start", "bad"])).toMatchObject({ code: 1 });
      const result = await cli.run(["run", "scripts/health.ts"]);
      expect(result).toMatchObject({ code: 1, stderr: "" });
      expect(result.stdout.split("\n").sort()).toEqual([
        "",
        "2 spaces, 1 in error",
        expect.stringMatching(new RegExp(`^bad: error on ${driver} - .+`)),
        `good: stopped on ${driver}`,
      ]);
      const { workspace } = await cli.json<{ workspace: string }>(["show", "bad"]);
      await writeFile(`${workspace}/mended`, "");
      expect(await cli.run(["start", "bad"])).toMatchObject({ code: 0 });
      expect(await cli.run(["run", "scripts/health.ts"])).toMatchObject({ code: 0 });
    });

    once.each([
      ["stop-idle", "minutes"],
      ["prune", "days"],
    ])("%s refuses what is no number of %s", async (script, unit) => {
      for (const given of ["soon", "NaN"]) {
        const result = await cli.run(["run", `scripts/${script}.ts`, "--", given]);
        expect(result).toMatchObject({ code: 2, stdout: "" });
        expect(result.stderr).toContain(`"${given}" is not a number of ${unit}. Usage: ${script}`);
      }
      const negative = await cli.run(["run", `scripts/${script}.ts`, "--", `--${unit}`, "-1"]);
      expect(negative).toMatchObject({ code: 2, stdout: "" });
      expect(negative.stderr).toContain("INVALID_INPUT");
    });
  });
});
