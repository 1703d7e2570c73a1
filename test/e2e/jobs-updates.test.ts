/** `scripts/update-packages.ts` in real Docker spaces, with a package manager that needs no network. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { APT_PACKAGE, type AptImage, makeAptImage } from "../support/apt-image.js";
import { CliHome } from "../support/cli.js";
import { dockerAvailability } from "../support/docker.js";

const docker = await dockerAvailability();
const { name: tiny, old, new: newest } = APT_PACKAGE;

interface Report {
  readonly dry_run: boolean;
  readonly spaces: number;
  readonly changes: readonly Record<string, string>[];
  readonly failures: readonly Record<string, string>[];
}

describe.skipIf(!docker.usable)("update-packages on docker", () => {
  let cli: CliHome;
  let image: AptImage;
  beforeAll(async () => {
    cli = await CliHome.make("docker");
    image = await makeAptImage();
    const templates = [
      `name: as-root\nimage: ${image.name}\nuser: "0:0"\n`,
      `name: as-user\nimage: ${image.name}\nuser: "1234:1234"\n`,
    ];
    await cli.run(["templates", "apply", "-f", "-"], { input: templates.join("---\n") });
    await cli.json(["create", "updated", "--template", "as-root", "--start"]);
    await cli.json(["create", "stopped", "--template", "as-root"]);
    await cli.json(["create", "without", "--start"]);
  }, 120_000);
  afterAll(async () => {
    await cli[Symbol.asyncDispose]();
    await image[Symbol.asyncDispose]();
  });

  const inside = async (space: string, line: string): Promise<string> => {
    const result = await cli.run(["exec", space, "-c", line]);
    expect({ ...result, line }).toMatchObject({ code: 0 });
    return result.stdout;
  };
  const job = async (...flags: string[]) => {
    const result = await cli.run(["run", "scripts/update-packages.ts", "--", "--json", ...flags]);
    return { code: result.code, report: JSON.parse(result.stdout) as Report };
  };
  const change = { space: "updated", manager: "apt", package: tiny, old, new: newest };

  it("tells what it would update, updates it, and finds nothing more to do", async () => {
    await inside("updated", `apt-get -q update && apt-get -q -y install ${tiny}=${old}`);
    expect(await inside("updated", tiny)).toBe(`${old}\n`);

    const planned = await job("--dry-run");
    const plan = { dry_run: true, spaces: 2, changes: [change], failures: [] };
    expect(planned).toEqual({ code: 0, report: plan });
    expect(await inside("updated", tiny)).toBe(`${old}\n`);

    const updated = await job();
    expect(updated).toEqual({ code: 0, report: { ...plan, dry_run: false } });
    expect(await inside("updated", tiny)).toBe(`${newest}\n`);
    expect(await inside("updated", `dpkg-query -W ${tiny}`)).toBe(`${tiny}\t${newest}\n`);

    const again = await job();
    expect(again.report).toMatchObject({ changes: [], failures: [] });
  });

  it("goes on with the others where one space fails", async () => {
    await inside("updated", `apt-get -q -y --allow-downgrades install ${tiny}=${old}`);
    await cli.json(["create", "no-root", "--template", "as-user", "--start"]);
    await cli.json(["create", "broken", "--template", "as-root", "--start"]);
    await inside("broken", "echo 'deb file:/nowhere ./' > /etc/apt/sources.list");
    const { code, report } = await job();
    expect(code).toBe(1);
    expect(report.changes).toEqual([change]);
    expect(report.failures).toEqual([
      { space: "broken", manager: "apt", error: expect.stringContaining("apt-get") },
      { space: "no-root", manager: "apt", error: expect.stringContaining("needs root") },
    ]);
    const table = await cli.run(["run", "scripts/update-packages.ts", "--", "--only", "no-root"]);
    expect(table).toMatchObject({ code: 1, stdout: "1 space, 0 packages updated, 1 failure\n" });
    expect(table.stderr).toContain("no-root (apt): needs root in the space");
  });

  it("updates with the managers that it is told, and refuses those that it does not know", async () => {
    const { report } = await job("--only", "updated", "--manager", "npm");
    expect(report).toMatchObject({ spaces: 1, changes: [], failures: [] });
    const wrong = await cli.run(["run", "scripts/update-packages.ts", "--", "--manager", "brew"]);
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain("manager");
  });
});
