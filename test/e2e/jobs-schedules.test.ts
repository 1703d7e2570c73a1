/** `scripts/schedules.yaml`: the schedules apply, and each runs its job with the little it may do. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";
import { dockerAvailability } from "../support/docker.js";

const docker = await dockerAvailability();

interface Schedule {
  readonly name: string;
  readonly script: string;
  readonly grant: readonly string[];
}

describe.each(["virtual", "docker"])("the example schedules on %s", (driver) => {
  describe.skipIf(driver === "docker" && !docker.usable)("with the shipped jobs stored", () => {
    let cli: CliHome;
    beforeAll(async () => {
      cli = await CliHome.make(driver);
      const source = "name: database\nfields: [{name: password, secret: true}]\n";
      await cli.run(["templates", "apply", "-f", "-"], { input: source });
      await cli.json(["create", "dev", "--metadata", "updates=weekly", "--start"]);
      await cli.json(["create", "db", "--template", "database", "--start"]);
      const script = "#!/bin/sh\ncat > taken\n";
      await cli.run(["files", "put", "db", "-", "set-password.sh"], { input: script });
      await cli.run(["exec", "db", "-c", "chmod +x set-password.sh"]);
      expect(await cli.run(["scripts", "import", "scripts"])).toMatchObject({ code: 0 });
      const applied = await cli.run(["schedules", "apply", "scripts/schedules.yaml"]);
      expect(applied).toMatchObject({ code: 0 });
    }, 120_000);
    afterAll(() => cli[Symbol.asyncDispose]());

    it("run, each to its good end", async () => {
      const { items } = await cli.json<{ items: Schedule[] }>(["schedules", "list"]);
      expect(items.map(({ name }) => name).sort()).toEqual([
        "backup-nightly",
        "health",
        "prune-expired",
        "prune-weekly",
        "rotate-password",
        "stop-idle",
        "update-packages",
      ]);
      for (const { name, grant } of items) {
        expect(grant, name).toContain("UseSpaces");
        const result = await cli.run(["schedules", "run", name, "--follow"]);
        expect({ name, ...result }).toMatchObject({ code: 0 });
      }
      const { items: spaces } = await cli.json<{ items: { name: string }[] }>(["list"]);
      expect(spaces.map(({ name }) => name).sort()).toEqual(["backups", "db", "dev"]);
      expect(await cli.run(["files", "cat", "db", "taken"])).toMatchObject({
        stdout: (await cli.run(["fields", "get", "db", "password"])).stdout.trim(),
      });
    }, 120_000);
  });
});
