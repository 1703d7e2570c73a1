/** Killing in a container whose image has no shell: from the host, or honestly not. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerAvailability } from "../../../test/support/docker.js";
import { copyProgram, importTree } from "../../../test/support/docker-image.js";
import { TestInstallation } from "./test-space.js";

const docker = await dockerAvailability();

const runs = docker.usable && process.platform === "linux";

describe.runIf(runs).each(["agent", "exec"] as const)("without a shell, by %s", (access) => {
  let installation: TestInstallation;
  let image: string;

  beforeAll(async () => {
    installation = await TestInstallation.make({ access });
    const root = await mkdtemp(join(tmpdir(), "spaces-shell-less-"));
    for (const name of ["sleep", "timeout"]) await copyProgram(root, name);
    await mkdir(join(root, "etc"));
    image = await importTree(installation.docker, root);
    await rm(root, { recursive: true });
  });
  afterAll(async () => {
    await installation[Symbol.asyncDispose]();
    expect(await installation.leftovers()).toEqual([]);
    await installation.docker.getImage(image).remove();
  });

  it("kills a tree all the same, and only that", async () => {
    const space = await installation.running({ image });
    const other = await space.spawn(["sleep", "91"]);
    const child = await space.spawn(["timeout", "60", "sleep", "90"]);
    const commands = async (): Promise<string[]> => {
      const { Processes } = (await space.container.top({ ps_args: "-eo pid,args" })) as {
        Processes: string[][];
      };
      return Processes.map((row) => row.at(-1) ?? "").filter((line) => /sleep \d/.test(line));
    };
    await expect.poll(commands).toEqual(["sleep 91", "timeout 60 sleep 90", "sleep 90"]);
    await child.kill();
    expect(await child.exit).toMatchObject({ signal: "SIGKILL" });
    expect(await commands()).toEqual(["sleep 91"]);
    await other.kill();
    expect(await commands()).toEqual([]);
    await installation.driver.stop(space.spec);
  });
});
