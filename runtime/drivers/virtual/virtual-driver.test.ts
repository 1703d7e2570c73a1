/** The virtual driver as the engine uses it. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, run, shell, type TestBed, testBed } from "./test-support.js";
import { createVirtualDriver } from "./virtual-driver.js";

describe("the virtual driver", () => {
  let bed: TestBed;

  beforeEach(() => {
    bed = testBed();
  });
  afterEach(() => bed[Symbol.asyncDispose]());

  it("is usable and names the version of just-bash", async () => {
    const probe = await bed.driver.probe();
    expect(probe).toMatchObject({ usable: true, version: expect.stringMatching(/^just-bash 3\./) });
  });

  it("creates, starts, stops and destroys, each as often as it is asked", async () => {
    const { driver } = bed;
    const space = bed.spec("spc_life");
    expect(await driver.inspect(space.id)).toBeUndefined();
    for (const expected of [false, false]) {
      await driver.create(space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: expected });
    }
    for (const action of ["start", "start"] as const) {
      await driver[action](space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: true });
    }
    await driver.create(space);
    expect(await driver.list()).toEqual([{ spaceId: space.id, running: true }]);
    for (const action of ["stop", "stop"] as const) {
      await driver[action](space);
      expect(await driver.inspect(space.id)).toEqual({ spaceId: space.id, running: false });
    }
    await driver.destroy(space.id);
    await driver.destroy(space.id);
    expect(await driver.list()).toEqual([]);
    expect(readdirSync(join(bed.dataDir, "virtual"))).toEqual([]);
    expect(readdirSync(space.workspace)).toEqual([]);
  });

  it("shows a space that another driver of the same data directory started", async () => {
    const { space } = await bed.started("spc_shared");
    await using other = createVirtualDriver({ installationId: "test", dataDir: bed.dataDir });
    expect(await other.inspect(space.id)).toEqual({ spaceId: space.id, running: true });
    const connection = await other.connect(space);
    expect((await run(connection, ["echo", "hi"])).stdout.toString()).toBe("hi\n");
  });

  it("refuses to connect to a space that does not run", async () => {
    const space = bed.spec("spc_stopped");
    await bed.driver.create(space);
    await expect(bed.driver.connect(space)).rejects.toMatchObject({ code: "SPACE_NOT_RUNNING" });
  });

  it("refuses commands after a stop, and takes them again after a start", async () => {
    const { space, connection } = await bed.started();
    await shell(connection, "echo kept > file; echo lost > /tmp/file");
    await bed.driver.stop(space);
    await expect(connection.spawn({ argv: ["true"], env: {} })).rejects.toMatchObject({
      code: "SPACE_NOT_RUNNING",
    });
    await bed.driver.start(space);
    const { stdout } = await shell(connection, "cat file; cat /tmp/file");
    expect(stdout.toString()).toBe("kept\n");
  });

  it("kills running commands when the space is stopped", async () => {
    const { space, connection } = await bed.started();
    const process = await connection.spawn({ argv: ["sleep", "1000"], env: {} });
    await bed.driver.stop(space);
    expect(await process.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
    expect(await collect(process.stdout)).toEqual(Buffer.alloc(0));
  });

  it("ends the commands of a disposed connection and keeps the space running", async () => {
    const { space, connection } = await bed.started();
    const process = await connection.spawn({ argv: ["sleep", "1000"], env: {} });
    const other = await bed.driver.connect(space);
    await connection[Symbol.asyncDispose]();
    expect(await process.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
    expect(await bed.driver.inspect(space.id)).toMatchObject({ running: true });
    expect((await run(other, ["echo", "hi"])).stdout.toString()).toBe("hi\n");
  });

  it("has no agent", async () => {
    const { space } = await bed.started();
    expect(await bed.driver.endpoint(space)).toBeUndefined();
  });

  it("makes and follows symlinks inside of the workspace", async () => {
    if (process.platform !== "linux") return;
    const { space, connection } = await bed.started();
    const { stdout } = await shell(
      connection,
      "mkdir -p a/b; echo one > a/b/f; ln -s a/b d; ln -s /workspace/a/b/f g; ln -s g h; " +
        "cat d/f h; echo two > g; cat a/b/f; cd d; pwd -P; readlink ../g",
    );
    expect(stdout.toString()).toBe("one\none\ntwo\n/workspace/a/b\na/b/f\n");
    expect(readFileSync(join(space.workspace, "h"), "utf8")).toBe("two\n");
  });

  it("copies, moves and removes trees", async () => {
    const { connection } = await bed.started();
    const { stdout, stderr } = await shell(
      connection,
      "mkdir -p p/q; echo 1 > p/q/r; cp -r p c; mv c m; rm -r p; find . -type f; cat m/q/r; " +
        "tar czf t.tgz m; rm -r m; tar xzf t.tgz; cat m/q/r; chmod 600 m/q/r; ln m/q/r n; " +
        "echo 2 >> n; cat n; cp -r m /tmp/m; cat /tmp/m/q/r; rmdir m 2> /dev/null || echo full",
    );
    expect(stderr.toString()).toBe("");
    expect(stdout.toString()).toBe("./m/q/r\n1\n1\n1\n2\n1\nfull\n");
  });

  it("gives standard output, standard error and the exit code", async () => {
    const { connection } = await bed.started();
    const { stdout, stderr, exit } = await shell(connection, "echo out; echo err >&2; exit 7");
    expect([stdout.toString(), stderr.toString(), exit]).toEqual([
      "out\n",
      "err\n",
      { exitCode: 7 },
    ]);
  });

  it("keeps output exact, text and bytes alike", async () => {
    const { connection } = await bed.started();
    const output = async (line: string) => (await shell(connection, line)).stdout;
    expect(await output("printf '\\xff\\xfe'; echo é")).toEqual(
      Buffer.from([0xff, 0xfe, 0xc3, 0xa9, 0x0a]),
    );
    expect((await output("echo Ã©; printf '\\xc3\\xa9'")).toString()).toBe("Ã©\né");
    expect(await output("printf '\\377\\n' > f; cat f; x=$(cat f); echo \"$x\"")).toEqual(
      Buffer.from([0xff, 0x0a, 0xff, 0x0a]),
    );
    expect((await shell(connection, "printf '\\xff' >&2")).stderr).toEqual(Buffer.from([0xff]));
    expect((await output("echo data | gzip -c | gunzip")).toString()).toBe("data\n");
  });

  it("reads and writes the workspace directory of the host", async () => {
    const { space, connection } = await bed.started();
    writeFileSync(join(space.workspace, "in.txt"), "from outside\n");
    await shell(connection, "sed s/outside/inside/ in.txt > out.txt");
    expect(readFileSync(join(space.workspace, "out.txt"), "utf8")).toBe("from inside\n");
  });

  it("gives the space's environment and the request's on top of it", async () => {
    const space = bed.spec("spc_env", { env: { A: "space", B: "space" } });
    await bed.driver.start(space);
    const connection = await bed.driver.connect(space);
    const { stdout } = await run(connection, ["bash", "-c", "echo $A $B $HOME"], {
      env: { B: "request" },
    });
    expect(stdout.toString()).toBe("space request /home/user\n");
  });

  it("starts commands in the given directory, which must be one", async () => {
    const { space, connection } = await bed.started();
    mkdirSync(join(space.workspace, "sub"));
    writeFileSync(join(space.workspace, "file"), "");
    const pwd = (workdir: string) => run(connection, ["pwd"], { workdir });
    expect((await pwd("/workspace/sub")).stdout.toString()).toBe("/workspace/sub\n");
    await expect(pwd("/nowhere")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(pwd("/workspace/file")).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("tells a missing program from a failing line", async () => {
    const { connection } = await bed.started();
    for (const name of ["nosuch", "cd", "python3", "./nosuch", ""]) {
      await expect(run(connection, [name])).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
    }
    expect((await shell(connection, "nosuch")).exit).toEqual({ exitCode: 127 });
    expect((await run(connection, ["test", "-d", "/workspace"])).exit).toEqual({ exitCode: 0 });
  });

  it("runs executable scripts of the workspace", async () => {
    const { connection } = await bed.started();
    await shell(connection, "printf '#!/bin/bash\\necho \"ran $1\"\\n' > tool; chmod +x tool");
    expect((await run(connection, ["./tool", "a b"])).stdout.toString()).toBe("ran a b\n");
  });

  it("says that shells other than bash are unsupported", async () => {
    const { connection } = await bed.started();
    for (const name of ["zsh", "/usr/bin/fish"]) {
      await expect(run(connection, [name, "-c", "true"])).rejects.toMatchObject({
        code: "UNSUPPORTED",
      });
    }
    expect((await run(connection, ["sh", "-c", "echo sh"])).stdout.toString()).toBe("sh\n");
  });

  it("offers neither a network nor other runtimes", async () => {
    const { connection } = await bed.started();
    for (const name of ["curl", "js-exec", "python3", "node"]) {
      expect((await shell(connection, `${name} --version`)).exit).toEqual({ exitCode: 127 });
    }
  });

  it("ends a command at once when it is killed, and may be asked twice", async () => {
    const { connection } = await bed.started();
    const process = await connection.spawn({ argv: ["sleep", "1000"], env: {} });
    await Promise.all([process.kill(), process.kill()]);
    await process.kill();
    expect(await process.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
  });

  it("runs a loop of a hundred thousand commands", async () => {
    const { connection } = await bed.started();
    const { stdout } = await shell(connection, "for ((i=0; i<110000; i++)); do :; done; echo $i");
    expect(stdout.toString()).toBe("110000\n");
  });

  it("serves another process's start with a fresh worker", async () => {
    const { space, connection } = await bed.started();
    await shell(connection, "echo old > /tmp/file");
    await using other = createVirtualDriver({ installationId: "test", dataDir: bed.dataDir });
    await other.stop(space);
    await other.start(space);
    expect((await shell(connection, "cat /tmp/file")).exit).toEqual({ exitCode: 1 });
  });

  it("reports a damaged record instead of guessing", async () => {
    const { space } = await bed.started();
    writeFileSync(join(bed.dataDir, "virtual", `${space.id}.json`), "{");
    await expect(bed.driver.inspect(space.id)).rejects.toMatchObject({ code: "DRIVER_FAILED" });
  });

  it("refuses ids that would lead out of its directory", async () => {
    await expect(bed.driver.inspect("../escape")).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
