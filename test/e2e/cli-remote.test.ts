import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { CliHome, type CliProcess } from "../support/cli.js";
import { PtyProcess } from "./cli-pty.js";

const bubblewrap = await bubblewrapAvailability();

/** A server in a process of its own, on a data directory that outlives it. */
class ServerHome implements AsyncDisposable {
  readonly home: CliHome;
  readonly driver: string;
  url = "";
  token = "";
  #running: CliProcess | undefined;

  private constructor(home: CliHome, driver: string) {
    this.home = home;
    this.driver = driver;
  }

  static async open(driver: string): Promise<ServerHome> {
    const server = new ServerHome(await CliHome.make(), driver);
    await server.start();
    return server;
  }

  /** Starts it, on the same port as before. */
  async start(): Promise<void> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    const args = ["--json", "serve", "--port", port, "--driver", this.driver];
    const running = this.home.start([...args, "--log-level", "error"]);
    this.#running = running;
    let printed = "";
    running.child.stdout?.on("data", (text: string) => {
      printed += text;
    });
    await running.printed("\n");
    const { url, adminToken } = JSON.parse(printed) as { url: string; adminToken?: string };
    this.url = url;
    this.token = adminToken ?? this.token;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#running?.child.kill("SIGKILL");
    await this.#running?.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    const env = { SPACES_DRIVER: this.driver };
    const { items } = await this.home.json<{ items: { id: string }[] }>(["list"], { env });
    for (const { id } of items) await this.home.json(["delete", id, "--force"], { env });
    await this.home[Symbol.asyncDispose]();
  }
}

const DRIVERS = [
  { driver: "virtual", usable: true },
  { driver: "bubblewrap", usable: bubblewrap.usable },
];

describe.each(DRIVERS)("the command line and a server on $driver", ({ driver, usable }) => {
  describe.skipIf(!usable)("usable here", () => {
    let server: ServerHome;
    let home: CliHome;
    let env: Record<string, string>;

    beforeAll(async () => {
      server = await ServerHome.open(driver);
      home = await CliHome.make();
      env = { SPACES_URL: server.url, SPACES_TOKEN: server.token };
    });
    afterAll(async () => {
      await home[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    it("works there as it does here, and keeps nothing here", async () => {
      await home.json(["create", "box", "--start"], { env });
      const ran = await home.run(["exec", "box", "-c", "echo out; echo err >&2; exit 3"], { env });
      expect(ran).toMatchObject({ code: 3, stdout: "out\n", stderr: "err\n" });
      const piped = await home.run(["exec", "box", "--", "cat"], { env, input: "piped in" });
      expect(piped).toMatchObject({ code: 0, stdout: "piped in" });
      const missing = await home.run(["exec", "nope", "--", "true"], { env });
      expect(missing.code).toBe(1);
      expect(missing.stderr).toContain("SPACE_NOT_FOUND");
      const shown = await home.json(["show", "box"], { env });
      expect(shown).toMatchObject({ driver, isRunning: true });
      expect(existsSync(join(home.home, "data"))).toBe(false);
    });

    it("copies files and trees to the server's spaces, between them, and back", async () => {
      const file = await home.write("tree/sub/a.bin", randomBytes(3_000_000));
      const tree = dirname(dirname(file));
      for (const name of ["one", "two"]) await home.json(["create", name], { env });
      for (const [from, to] of [
        [tree, "one:tree"],
        ["one:tree", "two:tree"],
        ["two:tree", join(home.home, "back")],
      ]) {
        expect(await home.json(["cp", from ?? "", to ?? ""], { env })).toMatchObject({
          files: 1,
          bytes: 3_000_000,
          failed: [],
        });
      }
      const back = await readFile(join(home.home, "back", "sub", "a.bin"));
      expect(back.equals(await readFile(file))).toBe(true);
      const denied = await home.run(["files", "cat", "one", "../x"], { env });
      expect(denied.stderr).toContain("[PATH_DENIED]");
      for (const name of ["one", "two"]) await home.json(["delete", name], { env });
    });

    it("runs scripts here that drive spaces there", async () => {
      const script = await home.write(
        "drive.ts",
        `import spaces from "spaces";
        spaces.create("made", "default");
        spaces.start("made");
        console.log(spaces.run("made", "echo", ["from", "there"]).trim());
        try { spaces.start("nope"); } catch (error) { console.log(error.code); }
        spaces.delete("made", { force: true });`,
      );
      const ran = await home.run(["run", script], { env });
      expect(ran).toMatchObject({ code: 0, stdout: "from there\nSPACE_NOT_FOUND\n" });
      const withDriver = await home.run(["run", script, "--driver", "virtual"], { env });
      expect(withDriver.code).not.toBe(0);
      expect(withDriver.stderr).toContain("UNSUPPORTED");
      // The run is recorded here; no engine was opened.
      expect(existsSync(join(home.home, "data", "spaces.db"))).toBe(false);
    });

    it("refuses a wrong token, and says what to do", async () => {
      const wrong = { ...env, SPACES_TOKEN: "spt_wrong" };
      const listed = await home.run(["list"], { env: wrong });
      expect(listed.code).toBe(1);
      expect(listed.stderr).toContain("UNAUTHENTICATED");
      const local = await home.run(["list", "--binding", "local", "--json"], { env });
      expect(JSON.parse(local.stdout)).toEqual({ items: [] });
    });
  });
});

describe("logging in", () => {
  let server: ServerHome;
  let home: CliHome;

  beforeAll(async () => {
    server = await ServerHome.open("virtual");
    home = await CliHome.make();
  });
  afterAll(async () => {
    await home[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it("stores a token that works, for the owner alone, and forgets it", async () => {
    const { url, token } = server;
    const wrong = await home.run(["login", url, "--token-file", "-"], { input: "spt_wrong" });
    expect(wrong.stderr).toContain("UNAUTHENTICATED");
    const login = ["login", url, "--profile", "work", "--token-file", "-"];
    const done = await home.run(login, { input: `${token}\n` });
    expect(done).toMatchObject({ code: 0, stdout: "" });
    expect(done.stderr).not.toContain(token);
    const folder = join(home.home, "config", "spaces");
    expect((await stat(join(folder, "credentials.yaml"))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, "config.yaml"), "utf8")).not.toContain(token);
    expect(await home.json(["list"])).toEqual({ items: [] });
    const listed = await home.run(["config", "list", "--show-origin"]);
    expect(listed.stdout).toMatch(/url +http:\S+ +user file profile work in .*config.yaml/);
    expect(listed.stdout).toMatch(/token +\*\*\* +user file .*credentials.yaml/);
    const checked = await home.json(["doctor"]);
    expect(checked).toMatchObject({
      ok: true,
      server: { url, reachable: true, user: expect.any(String), permissions: expect.any(Array) },
      binding: "remote",
    });
    expect((await home.run(["logout"])).stderr).toContain("Forgot the token");
    expect((await home.run(["list"])).stderr).toContain("UNAUTHENTICATED");
    const unchecked = await home.run(["doctor"]);
    expect(unchecked.code).toBe(1);
    expect(unchecked.stdout).toMatch(/ok {2}server[\s\S]*no {2}token\n +No valid|no {2}token/);
  });

  it("asks for the token at a terminal, and does not show it", async () => {
    const terminal = new PtyProcess(["login", server.url], home.env);
    await terminal.sees(/Token for /);
    terminal.type(`${server.token}x\u007f\r`);
    await terminal.sees(/Logged in at /);
    const { code, screen, restored } = await terminal.ended;
    expect({ code, restored }).toEqual({ code: 0, restored: true });
    expect(screen).not.toContain(server.token);
  });

  it("keeps a token from a server that only a project's file names", async () => {
    const text = `url: ${server.url.replace("127.0.0.1", "localhost")}\n`;
    const cwd = dirname(await home.write("spaces.config.yaml", text));
    const env = { SPACES_TOKEN: server.token };
    const refused = await home.run(["list", "--profile", "work"], { cwd, env });
    expect(refused.code).toBe(0);
    await home.run(["config", "unset", "profile"]);
    const listed = await home.run(["list"], { cwd, env });
    expect(listed.stderr).toMatch(/SPACES_TOKEN is not sent to .*spaces\.config\.yaml/);
    await home.write("spaces.config.yaml", "bindng: local\n");
    const mistaken = await home.run(["list"], { cwd });
    expect(mistaken.stderr).toMatch(/spaces\.config\.yaml:1:1: bindng: is no setting/);
    expect(mistaken.stderr).toContain("Did you mean binding?");
    expect(mistaken.code).toBe(2);
  });

  it("sets and unsets settings, and refuses what is none", async () => {
    await home.run(["config", "set", "driver", "docker"]);
    expect(
      (await home.run(["config", "get", "driver"], { env: { SPACES_DRIVER: "" } })).stdout,
    ).toBe("docker\n");
    const path = (await home.run(["config", "path"])).stdout.trim();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await home.run(["config", "unset", "driver"]);
    expect((await home.run(["config", "get", "driver"], { env: { SPACES_DRIVER: "" } })).code).toBe(
      1,
    );
    expect((await home.run(["config", "set", "token", "spt_x"])).stderr).toContain("spaces login");
    expect((await home.run(["config", "set", "url", "nonsense"])).code).toBe(2);
  });

  it("reports a server that is not there", async () => {
    const env = { SPACES_URL: "http://127.0.0.1:1" };
    const listed = await home.run(["list"], { env });
    expect(listed.code).toBe(125);
    expect(listed.stderr).toContain("ECONNREFUSED");
    const checked = await home.run(["doctor"], { env });
    expect(checked.code).toBe(1);
    expect(checked.stdout).toMatch(/no {2}server http:\/\/127\.0\.0\.1:1\n +.*ECONNREFUSED/);
  });
});

describe.skipIf(!bubblewrap.usable)("processes of a server", () => {
  let server: ServerHome;
  let home: CliHome;
  let env: Record<string, string>;
  const terminals = new Set<PtyProcess>();
  const terminal = (...args: string[]): PtyProcess => {
    const started = new PtyProcess(args, { ...home.env, ...env });
    terminals.add(started);
    return started;
  };

  beforeAll(async () => {
    server = await ServerHome.open("bubblewrap");
    home = await CliHome.make();
    env = { SPACES_URL: server.url, SPACES_TOKEN: server.token };
    await home.json(["create", "box", "--start"], { env });
  });
  afterEach(() => {
    for (const started of terminals) started.kill();
    terminals.clear();
  });
  afterAll(async () => {
    await home[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it("are followed through a server that is killed and started again, without loss", async () => {
    const line = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 5";
    const { id } = await home.json<{ id: string }>(["exec", "-d", "box", "-c", line], { env });
    const logs = home.start(["logs", "box", id, "--follow"], { env });
    await logs.printed("line 50\n");
    await server.kill();
    await server.start();
    const { stdout, code, stderr } = await logs.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(Array.from({ length: 400 }, (_, i) => `line ${i}\n`).join(""));
  });

  it("are shells in the terminal here, which are let go and found again", async () => {
    const shell = terminal("shell", "box", "--shell", "sh", "-e", "PS1=ready> ");
    await shell.sees(/ready> /);
    shell.resize(41, 137);
    shell.type("until stty size | grep '^41 137'; do :; done; KEPT=yes; echo don''e\r");
    await shell.sees(/41 137[\s\S]*done/);
    shell.type("\u0010\u0011");
    const [, id = ""] = await shell.sees(/spaces attach box ([0-9a-f]{12})/);
    expect(await shell.ended).toMatchObject({ code: 0, restored: true });
    const again = terminal("attach", "box", id);
    await again.sees(/ready> /);
    again.type("echo kept=$KEPT\r");
    await again.sees(/kept=yes/);
    // The server goes, and the shell outlives it.
    await server.kill();
    await server.start();
    again.type("echo still $((6 * 7)); exit 4\r");
    await again.sees(/still 42/);
    expect(await again.ended).toMatchObject({ code: 4, restored: true });
  });

  it("take input and give output of any size with exec -i", async () => {
    const input = "0123456789abcde\n".repeat(200_000);
    const ran = await home.run(["exec", "-i", "box", "--", "cat"], { env, input });
    expect(ran.code).toBe(0);
    expect(ran.stdout === input).toBe(true);
  });
});
