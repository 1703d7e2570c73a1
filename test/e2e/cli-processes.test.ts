import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { CLI, CliHome } from "../support/cli.js";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";

const DRIVERS = [
  { driver: "bubblewrap", usable: (await bubblewrapAvailability()).usable },
  { driver: "docker", usable: (await dockerAvailability()).usable },
] as const;

interface Listed {
  readonly items: readonly { readonly id: string; readonly state: string }[];
}

describe.each(DRIVERS)("processes of a space, on $driver", ({ driver, usable }) => {
  describe.skipIf(!usable)("usable here", () => {
    let cli: CliHome;
    let env: NodeJS.ProcessEnv;
    const run = (...args: string[]) => cli.run(args, { env });
    const running = async () => (await cli.json<Listed>(["ps", "box"], { env })).items;

    beforeAll(async () => {
      cli = await CliHome.make();
      env = { SPACES_DRIVER: driver };
      if (driver === "docker") env.SPACES_DEFAULT_IMAGE = await ensureTestImage();
      await cli.json(["create", "box", "--start"], { env });
    });
    afterAll(async () => {
      await cli.json(["delete", "box", "--force"], { env });
      await cli[Symbol.asyncDispose]();
    });

    it("shows output while the command runs, and keeps nothing of it afterwards", async () => {
      const started = cli.start(
        ["exec", "box", "-i", "-c", "echo ready; read x; echo $x; exit 4"],
        {
          env,
          input: "later\n",
        },
      );
      await started.printed("ready\n");
      expect(await started.ended).toEqual({ code: 4, stdout: "ready\nlater\n", stderr: "" });
      const quick = await run("exec", "box", "-c", "echo out; echo err >&2; exit 3");
      expect(quick).toEqual({ code: 3, stdout: "out\n", stderr: "err\n" });
      expect(await running()).toEqual([]);
    });

    it("passes bytes through as they are, in both directions, and loses none", async () => {
      const bytes = randomBytes(3_000_000);
      const child = spawn(process.execPath, [CLI, "exec", "box", "--", "cat"], {
        env: { ...cli.env, ...env },
        stdio: ["pipe", "pipe", "inherit"],
      });
      child.stdin.end(bytes);
      const chunks: Buffer[] = [];
      for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    });

    it("ends a command that nobody listens to any more, and one that is interrupted", async () => {
      const child = spawn(
        process.execPath,
        [CLI, "exec", "box", "-c", "while :; do echo y; done"],
        {
          env: { ...cli.env, ...env },
          stdio: ["ignore", "pipe", "ignore"],
        },
      );
      child.stdout.once("data", () => child.stdout.destroy());
      const code = await new Promise((resolve) => child.once("close", resolve));
      expect(code).toBe(141);
      const sleeping = cli.start(["exec", "box", "-c", "echo ready; sleep 100"], { env });
      await sleeping.printed("ready");
      sleeping.child.kill("SIGINT");
      expect((await sleeping.ended).code).toBe(130);
      expect(await running()).toEqual([]);
    });

    it("kills a command whose time is up, after its output", async () => {
      const result = await run("exec", "box", "--timeout", "500ms", "-c", "echo begun; sleep 100");
      expect(result).toMatchObject({ code: 124, stdout: "begun\n" });
      expect(result.stderr).toContain("[COMMAND_TIMEOUT]");
      expect(await running()).toEqual([]);
    });

    it("leaves a command running with --detach, and finds it by the beginning of its id", async () => {
      const started = await run("exec", "box", "-d", "-c", "echo out; echo err >&2; sleep 100");
      expect(started.stdout).toMatch(/^[0-9a-f]{32}\n$/);
      const short = started.stdout.slice(0, 6);
      const listed = await run("ps", "box");
      expect(listed.stdout).toMatch(
        /^ID +PID +STATE +STARTED +COMMAND\n[0-9a-f]{12} +\d+ +running /,
      );
      const following = cli.start(["logs", "box", short, "--follow"], { env });
      await following.printed("out\n");
      expect(await run("logs", "box", short)).toEqual({
        code: 0,
        stdout: "out\n",
        stderr: "err\n",
      });
      expect((await run("logs", "box", short, "--since-offset", "2")).stdout).toBe("t\n");
      expect((await run("kill", "box", short, "--signal", "hup")).code).toBe(0);
      expect(await following.ended).toEqual({ code: 0, stdout: "out\n", stderr: "err\n" });
      const events = (await run("logs", "box", short, "--json")).stdout.trim().split("\n");
      expect(events.map((line) => JSON.parse(line).type).sort()).toEqual([
        "exit",
        "stderr",
        "stdout",
      ]);
      expect((await run("attach", "box", short)).code).toBe(129);
      expect((await run("kill", "box", short)).code).toBe(0);
      const completed = await run("__complete", "--", "kill", "box", "");
      expect(completed.stdout).toMatch(new RegExp(`^${short}[0-9a-f]{6}\texited \\(SIGHUP\\) `));
    });

    it("refuses ids and signals that there are not", async () => {
      expect((await run("logs", "box", "abcdef")).stderr).toContain("[PROCESS_NOT_FOUND]");
      expect((await run("kill", "box", "abc")).code).toBe(2);
      expect((await run("kill", "box", "../../..")).code).toBe(2);
      expect((await run("kill", "box", "abcdef", "--signal", "NOPE")).code).toBe(2);
    });

    it("shows asterisks in place of secrets", async () => {
      await cli.json(["fields", "set", "box", "api_key", "hunter2222"], { env });
      const result = await run("exec", "box", "--", "echo", "it is hunter2222");
      expect(result).toEqual({ code: 0, stdout: "it is **********\n", stderr: "" });
      await cli.json(["fields", "set", "box", "api_key", ""], { env });
    });

    it("opens a port of the host that leads to a space, lists it and ends it", async () => {
      const port = String(await freePort());
      const opened = await run("ports", "open", "box", "3000", "--host-port", port);
      expect(opened).toMatchObject({ code: 0, stdout: `127.0.0.1:${port}\n` });
      const listed = await run("ports", "list", "box");
      expect(listed.stdout).toMatch(new RegExp(`^127\\.0\\.0\\.1:${port} +box:3000 +active `, "m"));
      expect((await run("ports", "open", "box", "3000", "--host-port", port)).stderr).toContain(
        "[PORT_IN_USE]",
      );
      expect((await run("ports", "stop", "box", port)).stderr).toContain("[FORWARD_NOT_FOUND]");
      expect((await run("ports", "stop", "box", port, "--host")).code).toBe(0);
      expect(await cli.json(["ports", "list", "box"], { env })).toEqual({ items: [] });
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

describe("processes and ports where they cannot be had", () => {
  let cli: CliHome;
  beforeAll(async () => {
    cli = await CliHome.make();
    await cli.json(["create", "box", "--start"]);
  });
  afterAll(() => cli[Symbol.asyncDispose]());

  it.each([
    [["ps", "box"]],
    [["exec", "box", "-i", "--", "cat"]],
    [["exec", "box", "-d", "--", "ls"]],
    [["ports", "open", "box", "3000"]],
  ])("says on the virtual driver that %j is not supported", async (args) => {
    const result = await cli.run(args);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("[UNSUPPORTED]");
  });

  it.each([
    [["shell", "box"]],
    [["shell", "box", "--json"]],
    [["exec", "-it", "box", "--", "sh"]],
    [["exec", "-t", "box", "--", "sh"]],
    [["exec", "-i", "--no-stdin", "box", "--", "sh"]],
    [["exec", "-d", "--timeout", "3s", "box", "--", "sh"]],
    [["exec", "-i", "--json", "box", "--", "sh"]],
    [["attach", "box", "xyz"]],
    [["logs", "box", "abcdef", "--since-offset", "-1"]],
    ...["-1", "0", "65536", "1.5", "abc", "", " 80", "0x50"].flatMap((port) => [
      [["ports", "open", "box", port]],
      [["ports", "open", "box", "80", "--host-port", port]],
      [["ports", "forward", "box", port, "box", "80"]],
      [["ports", "forward", "box", "80", "box", port]],
      [["ports", "stop", "box", port]],
    ]),
  ])("refuses %j with exit code 2", async (args) => {
    const result = await cli.run(args);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain("INVALID_INPUT");
  });
});
