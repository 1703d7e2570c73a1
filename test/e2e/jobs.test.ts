/** The maintenance jobs of `scripts/`, run by the command line on real spaces. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CliHome, drivers } from "../support/cli.js";
import { treeOf } from "../support/tree.js";

interface Backup {
  readonly space: string;
  readonly ok: boolean;
  readonly live: boolean;
  readonly file: string;
  readonly sha256: string;
  readonly skipped: readonly string[];
  readonly removed: readonly string[];
  readonly error?: string;
}
interface BackupReport {
  readonly into: string;
  readonly failed: number;
  readonly backups: readonly Backup[];
}

describe.each(await drivers())("jobs on $driver", ({ driver, available }) => {
  describe.skipIf(!available)("run by the command line", () => {
    /** For what does not depend on the driver. */
    const onVirtual = it.skipIf(driver !== "virtual");
    let cli: CliHome;
    beforeEach(async () => {
      cli = await CliHome.make(driver);
    });
    afterEach(async () => {
      await cli[Symbol.asyncDispose]();
    });

    const job = (name: string, ...args: string[]) =>
      cli.run(["run", `scripts/${name}.ts`, "--", ...args]);
    const reported = async <T>(name: string, ...args: string[]): Promise<T> => {
      const result = await job(name, ...args, "--json");
      expect(result.stdout, JSON.stringify(result)).toMatch(/^\{.*\}\n$/);
      return JSON.parse(result.stdout) as T;
    };
    const create = (...args: string[]) => cli.json(["create", ...args]);
    const show = (name: string) =>
      cli.json<{ workspace: string; status: string; [key: string]: unknown }>(["show", name]);
    const workspaceOf = async (name: string) => (await show(name)).workspace;
    const names = async (): Promise<string[]> => {
      const { items } = await cli.json<{ items: { name: string }[] }>(["list"]);
      return items.map((space) => space.name).sort();
    };
    const applyTemplate = async (source: string) => {
      expect(await cli.run(["templates", "apply", "-f", "-"], { input: source })).toMatchObject({
        code: 0,
      });
    };

    /** Files of many kinds, some of them made by commands of the space. */
    async function fill(space: string): Promise<string> {
      const root = await workspaceOf(space);
      for (const command of ["mkdir -p made/deep", "echo inside > made/deep/file"]) {
        expect(await cli.run(["exec", space, "-c", command])).toMatchObject({ code: 0 });
      }
      mkdirSync(join(root, "src/grüße"), { recursive: true });
      writeFileSync(join(root, "src/grüße/日本語.txt"), "text");
      writeFileSync(join(root, "src/bytes"), Buffer.alloc(300_000, "0123456789"));
      writeFileSync(join(root, "src/run.sh"), "#!/bin/sh\n");
      chmodSync(join(root, "src/run.sh"), 0o755);
      writeFileSync(join(root, "src/secret"), "s");
      chmodSync(join(root, "src/secret"), 0o600);
      symlinkSync("src/bytes", join(root, "link"));
      symlinkSync("/nowhere", join(root, "broken"));
      return root;
    }

    it("backup and restore give back exactly what a destroyed space had", async () => {
      await create(
        "dev",
        "--description",
        "Mine",
        "--metadata",
        "team=web",
        "--env",
        "A=b",
        "--start",
      );
      await create("empty");
      const before = treeOf(await fill("dev"));
      const report = await reported<BackupReport>("backup");
      expect(report).toMatchObject({ into: "backups", failed: 0 });
      expect(report.backups).toMatchObject([
        { space: "dev", ok: true, live: true, skipped: [], removed: [] },
        { space: "empty", ok: true, live: false, skipped: [], removed: [] },
      ]);
      expect((await show("backups")).status).toBe("stopped");

      await cli.json(["delete", "dev", "--force"]);
      const dry = await job("restore", "--space", "dev", "--dry-run");
      expect(dry).toMatchObject({ code: 0 });
      expect(dry.stdout).toMatch(/^would make and fill dev from dev\/\S+\.tgz \(\d+ entries\)\n$/);
      expect(await names()).toEqual(["backups", "empty"]);

      const restored = await job("restore", "--space", "dev");
      expect(restored).toMatchObject({ code: 0, stderr: "" });
      expect(treeOf(await workspaceOf("dev"))).toEqual(before);
      expect(await show("dev")).toMatchObject({
        description: "Mine",
        metadata: { team: "web" },
        env: { A: "b" },
      });
      // What was restored is the space's own: commands read and change it.
      await cli.json(["start", "dev"]);
      const line =
        "cat made/deep/file && rm -r made && echo more >> src/run.sh && cat link | wc -c";
      const { code, stdout } = await cli.run(["exec", "dev", "-c", line]);
      expect([code, stdout.replaceAll(" ", "")]).toEqual([0, "inside\n300000\n"]);
    });

    it("restore goes back in a space that is there, and not while it runs", async () => {
      await create("dev", "--start");
      const root = await fill("dev");
      const before = treeOf(root);
      await reported("backup", "--only", "dev");
      rmSync(join(root, "src"), { recursive: true });
      writeFileSync(join(root, "added"), "new");
      expect(await job("restore", "--space", "dev")).toMatchObject({
        code: 1,
        stderr: "dev runs. Stop it first, or give --live.\n",
      });
      expect(existsSync(join(root, "added"))).toBe(true);
      await cli.json(["stop", "dev"]);
      expect(await job("restore", "--space", "dev", "--to", "dev")).toMatchObject({ code: 0 });
      expect(treeOf(root)).toEqual(before);
    });

    onVirtual("backup keeps the newest, and what is young enough", async () => {
      await create("dev");
      const files = async () => readdirSync(join(await workspaceOf("backups"), "dev")).sort();
      const made: string[] = [];
      for (let n = 0; n < 3; n++) {
        const { backups } = await reported<BackupReport>("backup", "--keep", "2");
        made.push(backups[0]?.file.replace(/^dev\/|\.tgz$/g, "") ?? "");
      }
      const both = (name: string | undefined) => [`${name}.json`, `${name}.tgz`];
      expect(await files()).toEqual([...both(made[1]), ...both(made[2])]);
      const young = await reported<BackupReport>("backup", "--keep", "1", "--keep-days", "1");
      expect(young.backups[0]?.removed).toEqual([]);
      // Left over from a killed backup, and what is none.
      const root = join(await workspaceOf("backups"), "dev");
      writeFileSync(join(root, "2001-01-01T00-00-00-000Z.tgz"), "half");
      writeFileSync(join(root, "notes.txt"), "mine");
      const last = await reported<BackupReport>("backup", "--keep", "1");
      expect(last.backups[0]?.removed).toHaveLength(4);
      const name = last.backups[0]?.file.replace(/^dev\/|\.tgz$/g, "");
      expect(await files()).toEqual([...both(name), "notes.txt"]);
    });

    onVirtual(
      "backup takes the spaces with a label, leaves out globs, and only tells",
      async () => {
        await create("web", "--metadata", "team=web");
        await create("db", "--metadata", "team=data");
        const root = await workspaceOf("web");
        for (const path of ["keep", "node_modules/a", "src/x.log"]) {
          mkdirSync(join(root, path, ".."), { recursive: true });
          writeFileSync(join(root, path), path);
        }
        expect(await job("backup", "--label", "team=web", "--dry-run")).toMatchObject({
          code: 0,
          stdout: "would back up web into backups\n",
        });
        expect(await names()).toEqual(["db", "web"]);
        const exclude = ["--exclude", "node_modules", "--exclude", "**/*.log"];
        const table = await job("backup", "--label", "team=web", "--into", "vault", ...exclude);
        expect(table).toMatchObject({ code: 0, stderr: "" });
        expect(table.stdout).toMatch(
          /^SPACE +RESULT .*\nweb +ok .*\n1 space into vault, 0 failed\n$/,
        );
        await job("restore", "--space", "web", "--from", "vault", "--to", "copy");
        expect(Object.keys(treeOf(await workspaceOf("copy")))).toEqual(["keep", "src"]);
      },
    );

    onVirtual("backup goes on where one space fails, and ends with 1", async () => {
      for (const name of ["a", "b", "c"]) await create(name);
      await create("backups");
      // A file where the backups of b belong.
      writeFileSync(join(await workspaceOf("backups"), "b"), "in the way");
      const result = await job("backup");
      expect(result.code).toBe(1);
      expect(result.stdout).toMatch(
        /\na +ok.*\nb +failed.*\nc +ok.*\n3 spaces into backups, 1 failed/s,
      );
      expect(result.stderr).toContain("b: WRONG_FILE_TYPE");
    });

    onVirtual(
      "restore takes the backup that is named, and none that was tampered with",
      async () => {
        await create("dev");
        const root = await workspaceOf("dev");
        const backups: Backup[] = [];
        for (const content of ["one", "two"]) {
          writeFileSync(join(root, "file"), content);
          backups.push(...(await reported<BackupReport>("backup")).backups);
        }
        const [first] = backups.map(({ file }) => file.replace(/^dev\/|\.tgz$/g, ""));
        expect(await job("restore", "--space", "dev", "--backup", first ?? "")).toMatchObject({
          code: 0,
        });
        expect(readFileSync(join(root, "file"), "utf8")).toBe("one");
        appendFileSync(join(await workspaceOf("backups"), backups[1]?.file ?? ""), "x");
        const tampered = await job("restore", "--space", "dev");
        expect(tampered).toMatchObject({ code: 1, stdout: "" });
        expect(tampered.stderr).toContain("is not what was backed up");
        expect(readFileSync(join(root, "file"), "utf8")).toBe("one");
        for (const [args, problem] of [
          [["--space", "none"], "backups has no backup of none."],
          [["--space", "dev", "--backup", "2001"], "has no backup 2001 of dev. There are: "],
        ] as const) {
          const wrong = await job("restore", ...args);
          expect(wrong).toMatchObject({ code: 1, stdout: "" });
          expect(wrong.stderr).toContain(problem);
        }
        expect(await job("restore")).toMatchObject({ code: 2 });
      },
    );

    it("health restarts what is not well, and tells what it did", async () => {
      await applyTemplate(
        `name: service\nstartup: ["touch starts; echo x >> starts; test $(cat starts | wc -l) -lt 2 || touch well"]\n`,
      );
      await create("heals", "--template", "service", "--metadata", "health.command=test -e well");
      await create("ill", "--metadata", "health.command=echo no luck; exit 3");
      await create("fine", "--metadata", "health.command=true");
      await create("unchecked");
      for (const name of ["heals", "ill", "fine", "unchecked"]) await cli.json(["start", name]);
      const fast = ["--interval", "0.1", "--backoff", "0.1", "--failures", "2", "--restarts", "2"];
      const result = await job("health", ...fast);
      expect(result).toMatchObject({ code: 1, stderr: "" });
      expect(result.stdout.split("\n")).toEqual([
        `fine: running on ${driver}, healthy`,
        `heals: running on ${driver}, healthy, restarted once`,
        `ill: running on ${driver}, unhealthy, restarted 2 times - the check ended with 3: no luck`,
        `unchecked: running on ${driver}`,
        "4 spaces, 0 in error, 1 unhealthy",
        "",
      ]);
      await cli.json(["stop", "ill"]);
      const report = await reported<{ spaces: object[] }>("health", ...fast);
      expect(report).toMatchObject({ broken: 0, unhealthy: 0 });
      expect(report.spaces).toContainEqual({
        space: "ill",
        status: "stopped",
        driver,
        restarts: 0,
      });
    });

    it("health gives up on a check that hangs, and on a space that does not start", async () => {
      await applyTemplate(`name: fails\nstartup: ["test ! -e bad"]\n`);
      await create("hangs", "--metadata", "health.command=sleep 60", "--start");
      await create("bad", "--template", "fails", "--metadata", "health.command=true", "--start");
      writeFileSync(join(await workspaceOf("bad"), "bad"), "");
      expect(await cli.run(["restart", "bad"])).toMatchObject({ code: 1 });
      const fast = ["--timeout", "1", "--failures", "1", "--restarts", "1", "--backoff", "0"];
      const result = await job("health", ...fast);
      expect(result.code).toBe(1);
      expect(result.stdout).toContain(
        `hangs: running on ${driver}, unhealthy, restarted once - the check took longer than 1 seconds`,
      );
      expect(result.stdout).toMatch(
        new RegExp(`bad: error on ${driver}, unhealthy, restarted once - `),
      );
      expect(result.stdout).toContain("2 spaces, 1 in error, 2 unhealthy");
      rmSync(join(await workspaceOf("bad"), "bad"));
      expect(await job("health", "--only", "bad", ...fast)).toMatchObject({ code: 0 });
    });

    it.skipIf(driver === "virtual")(
      "health knows by its port whether a service is there",
      async () => {
        await create("web", "--start");
        const server = `python3 -c 'import socket,time; s=socket.socket(); s.bind(("127.0.0.1",8123)); s.listen(); time.sleep(600)'`;
        const check = ["--port", "8123", "--failures", "1", "--restarts", "0"];
        const absent = await job("health", ...check);
        expect(absent).toMatchObject({ code: 1 });
        expect(absent.stdout).toContain("unhealthy - nothing listens on port 8123");
        await cli.json(["exec", "web", "--detach", "-c", server]);
        const healthy = async () => (await job("health", ...check)).code;
        await expect.poll(healthy, { timeout: 30_000, interval: 100 }).toBe(0);
      },
    );

    it("rotate-secret gives the service a new value, and prints none", async () => {
      await applyTemplate("name: db\nfields: [{name: password, secret: true}, {name: plain}]\n");
      await create("db", "--template", "db", "--field", "password=first-value", "--start");
      const value = async () => (await cli.run(["fields", "get", "db", "password"])).stdout.trim();
      const rotate = (...args: string[]) =>
        job("rotate-secret", "--space", "db", "--field", "password", ...args);
      const done = await rotate("--command", "cat > taken");
      expect(done).toEqual({
        code: 0,
        signal: undefined,
        stdout: 'db: the field "password" has a new value\n',
        stderr: "",
      });
      const second = await value();
      expect(second).toMatch(/^[0-9a-f]{64}$/);
      expect(readFileSync(join(await workspaceOf("db"), "taken"), "utf8")).toBe(second);

      // A command that fails, and that tells the values in ways that no redaction knows.
      const leaky = "cat > tried; cat tried; rev tried 2>/dev/null; cat tried >&2; exit 4";
      const failed = await rotate("--command", leaky);
      expect(failed).toMatchObject({ code: 1, stdout: "" });
      expect(failed.stderr).toBe(
        'db: the command ended with 4; the field "password" has its old value again.\n',
      );
      expect(await value()).toBe(second);
      const slow = await rotate("--command", "sleep 60", "--timeout", "1");
      expect(slow).toMatchObject({ code: 1 });
      expect(slow.stderr).toContain("took longer than 1 seconds");
      expect(await value()).toBe(second);

      expect(await rotate("--bytes", "16", "--format", "base64url")).toMatchObject({ code: 0 });
      expect(await value()).toMatch(/^[\w-]{22}$/);
      for (const [field, problem] of [
        ["plain", "is not secret"],
        ["none", 'has no field "none"'],
      ] as const) {
        const wrong = await job("rotate-secret", "--space", "db", "--field", field);
        expect(wrong).toMatchObject({ code: 2, stdout: "" });
        expect(wrong.stderr).toContain(problem);
      }
    });

    it("prune-expired deletes what is in error for long, and nothing with --dry-run", async () => {
      await applyTemplate(`name: fails\nstartup: ["false"]\n`);
      await create("bad", "--template", "fails");
      await create("good", "--start");
      expect(await cli.run(["start", "bad"])).toMatchObject({ code: 1 });
      expect(await job("prune-expired")).toMatchObject({ code: 0, stdout: "" });
      const dry = await job("prune-expired", "--error-hours", "0", "--dry-run");
      expect(dry).toMatchObject({ code: 0 });
      expect(dry.stdout).toMatch(/^would delete bad \(in error since \S+Z: \w+\)\n$/);
      expect(await names()).toEqual(["bad", "good"]);
      expect(await job("prune-expired", "--error-hours", "0")).toMatchObject({ code: 0 });
      expect(await names()).toEqual(["good"]);
    });

    onVirtual(
      "prune-expired deletes what has expired, and stays calm where it is gone",
      async () => {
        await create("short", "--ttl", "1s", "--start");
        await expect
          .poll(
            async () => ((await job("prune-expired")).code === 0 ? await names() : ["failed"]),
            {
              timeout: 20_000,
            },
          )
          .toEqual([]);
      },
    );

    onVirtual("jobs refuse names and labels that are none", async () => {
      for (const name of [
        "backup",
        "stop-idle",
        "prune",
        "prune-expired",
        "update-packages",
        "health",
      ]) {
        const missing = await job(name, "--only", "none");
        expect(missing, name).toMatchObject({ code: 2, stdout: "" });
        expect(missing.stderr).toContain('There is no space "none".');
        const label = await job(name, "--label", "none");
        expect(label, name).toMatchObject({ code: 2, stdout: "" });
        expect(label.stderr).toContain('"none" is no label. Write it as key=value.');
      }
    });

    onVirtual("jobs run stored, with what they share stored beside them", async () => {
      await create("dev");
      for (const name of ["report", "backups", "backup", "restore", "health"]) {
        expect(await cli.run(["scripts", "save", `scripts/${name}.ts`])).toMatchObject({
          code: 0,
        });
      }
      expect(await cli.run(["run", "backup", "--", "--keep", "1"])).toMatchObject({ code: 0 });
      expect(
        await cli.run(["run", "restore", "--", "--space", "dev", "--to", "two"]),
      ).toMatchObject({
        code: 0,
      });
      expect(await names()).toEqual(["backups", "dev", "two"]);
    });

    onVirtual("a backup that is killed leaves nothing that counts as one", async () => {
      await create("dev");
      await create("backups");
      writeFileSync(join(await workspaceOf("dev"), "large"), Buffer.alloc(200_000_000, "abc"));
      const store = join(await workspaceOf("backups"), "dev");
      const child = spawn(process.execPath, ["dist/cli.js", "run", "scripts/backup.ts"], {
        env: cli.env,
        stdio: "ignore",
      });
      const parts = () =>
        existsSync(store) ? readdirSync(store).filter((name) => name.endsWith(".part")) : [];
      await expect.poll(parts, { timeout: 20_000, interval: 5 }).toHaveLength(1);
      child.kill("SIGKILL");
      await once(child, "close");
      const result = await job("restore", "--space", "dev", "--to", "copy");
      expect(result).toMatchObject({ code: 1, stderr: "backups has no backup of dev.\n" });
      expect(await names()).toEqual(["backups", "dev"]);
    });
  });
});
