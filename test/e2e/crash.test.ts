/** What is left when a process is killed at the worst moment: nothing that is stuck. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";
import { dockerAvailability } from "../support/docker.js";

interface Shown {
  readonly name: string;
  readonly status: string;
  readonly lastError?: { readonly code: string };
}

const docker = await dockerAvailability();

describe.each([
  { driver: "virtual", available: true },
  { driver: "docker", available: docker.usable },
])("killed with SIGKILL on $driver", ({ driver, available }) => {
  describe.skipIf(!available)("the next command", () => {
    let cli: CliHome;
    beforeEach(async () => {
      cli = await CliHome.make(driver);
    });
    afterEach(async () => {
      await cli[Symbol.asyncDispose]();
    });

    /** Runs a command and kills it as soon as the space has a status. */
    const killWhen = async (status: string, args: readonly string[]): Promise<void> => {
      let kill: () => void = () => undefined;
      const running = cli.run(args, { onStart: (child) => (kill = () => child.kill("SIGKILL")) });
      await expect
        .poll(async () => (await cli.json<Shown>(["show", "s"])).status, {
          timeout: 20_000,
          interval: 20,
        })
        .toBe(status);
      kill();
      expect((await running).signal).toBe("SIGKILL");
    };

    it("finds a start that was killed in error, and starts it", async () => {
      const source = 'name: slow\nstartup: ["test -e go || sleep 30"]\n';
      await cli.run(["templates", "apply", "-f", "-"], { input: source });
      await cli.run(["create", "s", "--template", "slow"]);
      await killWhen("starting", ["start", "s"]);
      const shown = await cli.json<Shown & { workspace: string }>(["show", "s"]);
      expect(shown).toMatchObject({ status: "error", lastError: { code: "INTERRUPTED" } });
      const { writeFile } = await import("node:fs/promises");
      await writeFile(`${shown.workspace}/go`, "");
      expect((await cli.run(["start", "s"])).code).toBe(0);
      expect((await cli.json<Shown>(["show", "s"])).status).toBe("running");
    });

    it("finds no space busy for ever after a command was killed", async () => {
      await cli.run(["create", "s", "--start"]);
      let kill: () => void = () => undefined;
      const running = cli.run(["exec", "s", "--", "sleep", "30"], {
        onStart: (child) => (kill = () => child.kill("SIGKILL")),
      });
      const activity = async () => (await cli.json<{ activity?: string }>(["show", "s"])).activity;
      await expect.poll(activity, { timeout: 20_000, interval: 20 }).toBe("busy");
      kill();
      await running;
      expect(await activity()).toBe("idle");
    });

    it("is never stuck, wherever in the life of a space the kill came", async () => {
      const script = `
        import spaces from "spaces";
        for (;;) {
          spaces.create("s", "default");
          spaces.start("s");
          spaces.stop("s");
          spaces.delete("s");
        }`;
      for (let round = 0; round < 12; round++) {
        // Spread over the first rounds of the loop; which state is hit differs from run to run.
        const delay = 150 + round * (driver === "docker" ? 90 : 25);
        await cli.run(["run", "-"], {
          input: script,
          onStart: (child) => setTimeout(() => child.kill("SIGKILL"), delay),
        });
        const { items } = await cli.json<{ items: Shown[] }>(["list"]);
        for (const space of items) {
          expect(["stopped", "running", "error"]).toContain(space.status);
          const deleted = await cli.run(["delete", space.name, "--force"]);
          expect(deleted).toMatchObject({ code: 0 });
        }
        const { items: left } = await cli.json<{ items: Shown[] }>(["list"]);
        expect(left).toEqual([]);
      }
    });
  });
});
