/** Hostile commands: they end, stay inside, and take neither the process nor others with them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { artifactUrl } from "../../artifacts.js";
import { MAX_OUTPUT_BYTES } from "./limits.js";
import { isHostMessage, isWorkerMessage } from "./protocol.js";
import { collect, run, shell, type TestBed, testBed } from "./test-support.js";

/** Waits until a condition holds; the test's own timeout ends it otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("hostile commands", () => {
  let bed: TestBed;

  beforeEach(() => {
    bed = testBed();
  });
  afterEach(() => bed[Symbol.asyncDispose]());

  for (const line of ["while :; do :; done", "while true; do echo a | cat > /dev/null; done"]) {
    it(`kills \`${line}\` and leaves the other commands alone`, async () => {
      const { space, connection } = await bed.started();
      const hog = await connection.spawn({
        argv: ["bash", "-c", `touch begun; ${line}`],
        env: {},
      });
      await until(() => existsSync(join(space.workspace, "begun")));
      const other = shell(connection, "echo survived");
      await hog.kill();
      expect(await hog.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
      expect((await other).stdout.toString()).toBe("survived\n");
    });
  }

  it("kills by force what does not cooperate, tells the others, and goes on", async () => {
    const { connection } = await bed.started();
    const other = await connection.spawn({ argv: ["sleep", "1000"], env: {} });
    const hog = await connection.spawn({ argv: ["awk", "BEGIN { while (1); }"], env: {} });
    // awk has the thread for itself once another command gets no answer.
    let answered = true;
    while (answered) {
      answered = await Promise.race([
        run(connection, ["true"]).then(
          () => true,
          () => false,
        ),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 1000)),
      ]);
    }
    await hog.kill();
    expect(await hog.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
    await expect(other.exit).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    expect((await shell(connection, "echo fresh")).stdout.toString()).toBe("fresh\n");
  });

  it("lets nothing write after a kill has resolved", async () => {
    const { space, connection } = await bed.started();
    const log = join(space.workspace, "log");
    const writer = await connection.spawn({
      argv: ["bash", "-c", "while true; do echo x >> log; done"],
      env: {},
    });
    await until(() => existsSync(log) && statSync(log).size > 0);
    await writer.kill();
    const size = statSync(log).size;
    await shell(connection, "for i in 1 2 3 4 5 6 7 8 9; do echo $i > other; done");
    expect(statSync(log).size).toBe(size);
  });

  it("cuts endless output off with LIMIT_EXCEEDED", async () => {
    const { space, connection } = await bed.started();
    writeFileSync(join(space.workspace, "large"), Buffer.alloc(20_000_000, "x"));
    for (const line of ["while true; do cat large; done", "cat large; cat large"]) {
      await expect(shell(connection, line)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    }
    const cut = await connection.spawn({ argv: ["bash", "-c", "cat large; cat large"], env: {} });
    expect((await collect(cut.stdout)).length).toBe(MAX_OUTPUT_BYTES);
    expect((await shell(connection, "echo alive")).stdout.toString()).toBe("alive\n");
  });

  const bombs = {
    "a doubling string": "x=a; while true; do x=$x$x; done",
    "many large variables": 'while true; do a+=("$(cat large)$RANDOM"); done',
    "one long string made by awk": `awk 'BEGIN { x = "a"; while (1) x = x x }'`,
    "a list made by jq": "jq -n '[range(100000000)] | length'",
    "a line blown up by sed": "printf '%30000000s' a | sed 's/ /xxxxxxxxxxxxxxxxxxxx/g' | wc -c",
    "a wide field": "printf '%2000000000d' 1",
    "deep recursion": "f() { f; }; f",
    "deep nesting": `x='(('; for i in {1..15}; do x=$x$x; done; eval "$x"`,
  };
  for (const [name, line] of Object.entries(bombs)) {
    it(`survives ${name}`, async () => {
      const { space, connection } = await bed.started();
      writeFileSync(join(space.workspace, "large"), Buffer.alloc(16_000_000, "x"));
      const outcome = await shell(connection, line).then(
        ({ exit }) => exit.exitCode,
        (error: unknown) => error,
      );
      if (typeof outcome === "number") expect(outcome).not.toBe(0);
      else expect(outcome).toMatchObject({ code: "LIMIT_EXCEEDED" });
      expect((await shell(connection, "echo alive")).stdout.toString()).toBe("alive\n");
    });
  }

  it("runs a hundred commands in parallel", async () => {
    const { connection } = await bed.started();
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) => shell(connection, `echo ${i} > f${i}; cat f${i}`)),
    );
    expect(results.map(({ stdout }) => stdout.toString())).toEqual(
      Array.from({ length: 100 }, (_, i) => `${i}\n`),
    );
  });

  it("refuses more commands at once than it can hold", async () => {
    const { connection } = await bed.started();
    const spawned = await Promise.allSettled(
      Array.from({ length: 300 }, () => connection.spawn({ argv: ["sleep", "1000"], env: {} })),
    );
    const refused = spawned.filter((result) => result.status === "rejected");
    expect(refused.length).toBe(44);
    expect(refused[0]?.reason).toMatchObject({ code: "LIMIT_EXCEEDED" });
    await bed.driver[Symbol.asyncDispose]();
  });
});

describe("the way out of the workspace", () => {
  let bed: TestBed;
  let secret: string;

  beforeEach(() => {
    bed = testBed();
    mkdirSync(join(bed.dataDir, "outside"));
    secret = join(bed.dataDir, "outside", "secret");
    writeFileSync(secret, "SECRET");
  });
  afterEach(() => bed[Symbol.asyncDispose]());

  it("is closed to symlinks of the host", async () => {
    const { space, connection } = await bed.started();
    symlinkSync(secret, join(space.workspace, "file"));
    symlinkSync(join(bed.dataDir, "outside"), join(space.workspace, "dir"));
    symlinkSync("dir/secret", join(space.workspace, "through"));
    for (const line of [
      "cat file dir/secret through; head file; grep -r SECRET .; rg SECRET; find -L . -type f",
      "cat < file; cp file copy; cp -r dir tree; cat copy tree/*; tar cf - . | strings",
      "mv file moved; cat moved; ln file hard; cat hard; cd dir && cat secret; ls dir/",
      "while read x; do echo $x; done < dir/secret; source file; . dir/secret; sqlite3 file .dump",
    ]) {
      const { stdout, stderr } = await shell(connection, line);
      expect(stdout.toString() + stderr.toString()).not.toContain("SECRET");
    }
    const { exit } = await shell(
      connection,
      "echo x > file; echo x >> dir/secret; echo x | tee through; rm -rf dir; rm file; chmod 777 file dir; touch file dir/new; mkdir dir/sub; echo after",
    );
    expect(exit).toEqual({ exitCode: 0 });
    expect(readFileSync(secret, "utf8")).toBe("SECRET");
    expect(existsSync(join(bed.dataDir, "outside", "new"))).toBe(false);
    expect(existsSync(join(bed.dataDir, "outside", "sub"))).toBe(false);
    await expect(run(connection, ["pwd"], { workdir: "/workspace/dir" })).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  it("is closed to `..`, host paths and symlinks made inside", async () => {
    const { space, connection } = await bed.started();
    const up = "../".repeat(10);
    const { stdout, stderr } = await shell(
      connection,
      `cat ${up}${secret} ${secret} /workspace/../${secret} ../../../outside/secret; ` +
        `ln -s ${secret} l; cat l; ln -s ../../../outside d; cat d/secret; ` +
        `ln -s ${secret} /tmp/l; cat /tmp/l; mv /tmp/l m; cat m; cp -P /tmp/l n; cat n`,
    );
    expect(stdout.toString() + stderr.toString()).not.toContain("SECRET");
    await shell(connection, `echo x > ${up}${secret}; echo x > ../../../outside/secret`);
    expect(readFileSync(secret, "utf8")).toBe("SECRET");
    expect(existsSync(join(space.workspace, "l"))).toBe(false);
  });

  it("is closed when a directory has become a symlink meanwhile", async () => {
    const { space, connection } = await bed.started();
    const directory = join(space.workspace, "d");
    mkdirSync(directory);
    writeFileSync(join(directory, "secret"), "harmless");
    expect((await shell(connection, "cat d/secret")).stdout.toString()).toBe("harmless");
    renameSync(directory, join(space.workspace, "was"));
    symlinkSync(join(bed.dataDir, "outside"), directory);
    expect((await shell(connection, "cat d/secret")).stdout.toString()).toBe("");
    await shell(connection, "cd d; echo x > secret; echo x > d/secret");
    expect(readFileSync(secret, "utf8")).toBe("SECRET");
  });

  it("is closed while others swap directories and symlinks all the time", async () => {
    if (process.platform !== "linux") return;
    const { space, connection } = await bed.started();
    const { workspace } = space;
    mkdirSync(join(workspace, "d"));
    writeFileSync(join(workspace, "d", "secret"), "harmless");
    const swap = `
      const { renameSync, symlinkSync } = require("node:fs");
      const { workspace, outside } = require("node:worker_threads").workerData;
      const [d, l, t] = ["d", "l", "t"].map((name) => workspace + "/" + name);
      symlinkSync(outside, l);
      for (;;) { renameSync(d, t); renameSync(l, d); renameSync(d, l); renameSync(t, d); }`;
    const swapper = new Worker(swap, {
      eval: true,
      workerData: { workspace, outside: join(bed.dataDir, "outside") },
    });
    swapper.on("error", () => undefined);
    const lines = [
      "for ((i=0; i<1500; i++)); do cat d/secret; done",
      "for ((i=0; i<300; i++)); do ls d; mkdir d/m$i; rm -rf d/m$i; cp secret d/c; touch d/n; done",
      "for ((i=0; i<300; i++)); do echo x | tee d/new; rm -f d/secret; chmod 777 d/secret; done",
    ];
    for (const line of lines) {
      const { stdout } = await shell(connection, line);
      expect(stdout.toString()).not.toContain("SECRET");
    }
    await swapper.terminate();
    expect(readFileSync(secret, "utf8")).toBe("SECRET");
    expect(readdirSync(join(bed.dataDir, "outside"))).toEqual(["secret"]);
    expect(statSync(secret).mode & 0o777).not.toBe(0o777);
  });

  it("does not write through a hard link", async () => {
    const { space, connection } = await bed.started();
    linkSync(secret, join(space.workspace, "hard"));
    await shell(connection, "echo x >> hard; chmod 777 hard");
    expect(readFileSync(secret, "utf8")).toBe("SECRET");
  });
});

describe("two processes", () => {
  let bed: TestBed;

  beforeEach(() => {
    bed = testBed();
  });
  afterEach(() => bed[Symbol.asyncDispose]());

  /** Runs a program with `createVirtualDriver`, `dataDir` and `space` in another process. */
  async function otherProcess(body: string) {
    const root = fileURLToPath(new URL("../../../", import.meta.url));
    const dist = join(bed.dataDir, "package", "dist");
    mkdirSync(dist, { recursive: true });
    symlinkSync(join(root, "node_modules"), join(bed.dataDir, "package/node_modules"), "junction");
    copyFileSync(artifactUrl("virtual-worker.js"), join(dist, "virtual-worker.js"));
    await build({
      stdin: {
        contents: `import { createVirtualDriver } from "./runtime/drivers/virtual/virtual-driver.ts";
          const [dataDir, spec] = process.argv.slice(2);
          const space = JSON.parse(spec);
          const driver = createVirtualDriver({ installationId: "test", dataDir });
          ${body}`,
        resolveDir: root,
        loader: "ts",
      },
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      outfile: join(dist, "other.js"),
    });
    const child = spawn(
      process.execPath,
      [join(dist, "other.js"), bed.dataDir, JSON.stringify(bed.spec("spc_one"))],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      line: async () => String((await lines.next()).value),
      exited: once(child, "exit").then(([code]) => code as unknown),
    };
  }

  it("use one space: each sees the files and the state of the other", async () => {
    const { connection } = await bed.started();
    await shell(connection, "echo hello > greeting");
    const other = await otherProcess(`
      const connection = await driver.connect(space);
      const p = await connection.spawn({ argv: ["bash", "-c", "cat greeting; echo back > answer"], env: {} });
      for await (const chunk of p.stdout) process.stdout.write(chunk);
      await p.exit;`);
    expect(await other.line()).toBe("hello");
    // Ends although its driver was never disposed: idle workers hold no process open.
    expect(await other.exited).toBe(0);
    expect((await shell(connection, "cat answer")).stdout.toString()).toBe("back\n");
  });

  it("a stop in one ends the commands in the other", async () => {
    const { space } = await bed.started();
    const other = await otherProcess(`
      const connection = await driver.connect(space);
      const p = await connection.spawn({ argv: ["bash", "-c", "while :; do :; done"], env: {} });
      console.log("started");
      console.log(JSON.stringify(await p.exit));
      console.log(await connection.spawn({ argv: ["true"], env: {} }).catch((error) => error.code));`);
    expect(await other.line()).toBe("started");
    await bed.driver.stop(space);
    expect(await other.line()).toBe('{"exitCode":137,"signal":"SIGKILL"}');
    expect(await other.line()).toBe("SPACE_NOT_RUNNING");
    expect(await other.exited).toBe(0);
  });

  it("start and stop one space at the same time without harm to its record", async () => {
    const space = bed.spec("spc_one");
    const other = await otherProcess(`
      for (let i = 0; i < 200; i++) await (i % 2 ? driver.stop(space) : driver.start(space));
      console.log("done");`);
    for (let i = 0; i < 200; i++) {
      await (i % 2 ? bed.driver.stop(space) : bed.driver.start(space));
      expect(await bed.driver.list()).toHaveLength(1);
    }
    expect(await other.exited).toBe(0);
    await bed.driver.stop(space);
    expect(await bed.driver.inspect(space.id)).toEqual({ spaceId: space.id, running: false });
  });
});

describe("the worker protocol", () => {
  const end = {
    type: "end",
    id: 1,
    exitCode: 0,
    killed: false,
    stdout: new Uint8Array(),
    stderr: new Uint8Array(),
  };

  it("accepts what a worker sends and nothing else", () => {
    expect(isWorkerMessage({ type: "ready" })).toBe(true);
    expect(isWorkerMessage(end)).toBe(true);
    const bad: unknown[] = [null, "end", {}, { type: "other" }];
    bad.push({ ...end, id: "1" }, { ...end, exitCode: 256 }, { ...end, exitCode: 0.5 });
    bad.push({ ...end, stdout: "text" }, { ...end, error: { code: "NO_SUCH", message: "" } });
    bad.push({ ...end, error: { code: "INTERNAL", message: "", details: {} } });
    for (const message of bad) expect(isWorkerMessage(message)).toBe(false);
  });

  it("accepts what the driver sends and nothing else", () => {
    const killFlag = new Int32Array(new SharedArrayBuffer(4));
    const command = { argv: ["a"], workdir: "/", env: [["A", "b"]], input: new Uint8Array() };
    const message = { type: "run", id: 1, killFlag, ...command };
    expect(isHostMessage(message)).toBe(true);
    expect(isHostMessage({ type: "kill", id: 1 })).toBe(true);
    expect(isHostMessage({ type: "open", workspace: "/a", mount: "/b" })).toBe(true);
    const bad: unknown[] = [undefined, 1, {}, { type: "kill" }, { type: "open", workspace: "/" }];
    bad.push({ ...message, argv: [] }, { ...message, argv: [1] }, { ...message, env: [["A"]] });
    bad.push({ ...message, input: "text" }, { ...message, killFlag: new Int32Array(2) });
    for (const other of bad) expect(isHostMessage(other)).toBe(false);
  });
});
