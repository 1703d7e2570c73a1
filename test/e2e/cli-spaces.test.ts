import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";

let cli: CliHome;
beforeAll(async () => {
  cli = await CliHome.make();
});
afterAll(() => cli[Symbol.asyncDispose]());

const TEMPLATE = `name: app
description: An application
fields:
  - name: branch
    default: main
  - name: token
    secret: true
`;

interface Listed {
  readonly items: readonly Record<string, unknown>[];
}

describe("the life of a space", () => {
  it("goes from create to delete, each step as JSON", async () => {
    const created = await cli.json([
      ...["create", "life", "--description", "a test", "--shell", "sh", "--driver", "virtual"],
      ...["--env", "A=1=2", "--env", "B=", "--metadata", "team=x"],
    ]);
    expect(created).toMatchObject({
      id: expect.stringMatching(/^spc_/),
      name: "life",
      status: "stopped",
      driver: "virtual",
      template: "default",
      description: "a test",
      shell: "sh",
      env: { A: "1=2", B: "" },
      metadata: { team: "x" },
    });
    expect(await cli.json(["start", "life"])).toMatchObject({ status: "running" });
    expect(await cli.json(["restart", "life"])).toMatchObject({ status: "running" });
    const listed = await cli.json<Listed>(["list", "--status", "running"]);
    expect(listed.items.map((space) => space.name)).toEqual(["life"]);
    expect(await cli.json(["show", created.id as string])).toMatchObject({
      name: "life",
      workspace: expect.stringContaining(cli.home),
    });
    expect(await cli.json(["stop", "life"])).toMatchObject({ status: "stopped" });
    expect(await cli.json(["delete", "life", "--dry-run"])).toEqual({
      items: [{ space: "life", deleted: false, dryRun: true }],
    });
    expect(await cli.json(["delete", "life", "--yes"])).toEqual({
      items: [{ space: "life", deleted: true }],
    });
    expect(await cli.json(["list"])).toEqual({ items: [] });
  });

  it("prints for people: the id on stdout, notes on stderr, nothing but data with --quiet", async () => {
    const created = await cli.run(["create", "people", "--start"]);
    expect(created.stdout).toMatch(/^spc_[0-9a-v]{20}\n$/);
    expect(created.stderr).toBe("Created and started people from template default on virtual.\n");
    const listed = await cli.run(["list"]);
    expect(listed.stdout).toMatch(/^NAME +STATUS +DRIVER .*\npeople +running +virtual /);
    expect((await cli.run(["show", "people"])).stdout).toMatch(/^workspace: +\/.+$/m);
    expect(await cli.run(["stop", "people", "--quiet"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(await cli.run(["-q", "delete", "people"])).toMatchObject({ code: 0, stderr: "" });
  });

  it("is started once when two processes start it at the same time", async () => {
    await cli.json(["create", "twice"]);
    const both = await Promise.all([cli.json(["start", "twice"]), cli.json(["start", "twice"])]);
    expect(both.map((space) => space.status)).toEqual(["running", "running"]);
    expect(both[0].startedAt).toBe(both[1].startedAt);
    await cli.json(["delete", "twice", "--force"]);
  });

  it("deletes what it can and reports the rest", async () => {
    await cli.json(["create", "first"]);
    await cli.json(["create", "second", "--start"]);
    const result = await cli.run(["delete", "first", "missing", "second", "--json"]);
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout).items).toEqual([
      { space: "first", deleted: true },
      { space: "missing", deleted: false },
      { space: "second", deleted: false },
    ]);
    const codes = result.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).error.code);
    expect(codes).toEqual(["SPACE_NOT_FOUND", "SPACE_RUNNING"]);
    await cli.json(["delete", "second", "-f"]);
  });

  it.each([
    [["show", "nope"], 1, "SPACE_NOT_FOUND"],
    [["start", "nope"], 1, "SPACE_NOT_FOUND"],
    [["exec", "nope", "--", "ls"], 1, "SPACE_NOT_FOUND"],
    [["create", ""], 2, "INVALID_INPUT"],
    [["create", ".."], 2, "INVALID_INPUT"],
    [["create", "Upper"], 2, "INVALID_INPUT"],
    [["create", "__proto__"], 2, "INVALID_INPUT"],
    [["create", "x".repeat(64)], 2, "INVALID_INPUT"],
    [["create", "x", "--template", "nope"], 1, "TEMPLATE_NOT_FOUND"],
    [["create", "x", "--shell", "tcsh"], 2, "INVALID_INPUT"],
    [["create", "x", "--env", "novalue"], 2, "INVALID_INPUT"],
    [["create", "x", "--metadata", "__proto__=y"], 2, "INVALID_INPUT"],
    [["create", "x", "--field", "nope=1"], 1, "FIELD_NOT_DEFINED"],
    [["create", "x", "--binding", "nope"], 2, "INVALID_INPUT"],
    [["list", "--limit", "0"], 2, "INVALID_INPUT"],
    [["list", "--status", "nope"], 2, "INVALID_INPUT"],
  ])("refuses %j with exit code %i and leaves nothing behind", async (args, code, error) => {
    const result = await cli.run([...args.slice(0, 1), "--json", ...args.slice(1)]);
    expect(result.code).toBe(code);
    expect(JSON.parse(result.stderr).error.code).toBe(error);
    expect(await cli.json(["list"])).toEqual({ items: [] });
  });

  it("says that the store cannot be used, with exit code 125", async () => {
    const result = await cli.run(["list"], { env: { SPACES_HOME: "/dev/null/nowhere" } });
    expect(result.code).toBe(125);
    expect(result.stderr).toContain("[STORE_UNAVAILABLE]");
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });
});

describe("spaces exec", () => {
  beforeAll(async () => {
    await cli.json(["create", "box", "--start"]);
  });
  afterAll(async () => {
    await cli.json(["delete", "box", "--force"]);
  });

  it("executes arguments as they are and passes streams and exit code through", async () => {
    expect(await cli.run(["exec", "box", "--", "printf", "%s|", "a b", "$HOME", "--json"])).toEqual(
      {
        code: 0,
        stdout: "a b|$HOME|--json|",
        stderr: "",
      },
    );
    expect(await cli.run(["exec", "box", "-c", "echo out; echo err >&2; exit 3"])).toEqual({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  it("passes standard input, environment and working directory", async () => {
    const input = "one\ntwo\n";
    expect(await cli.run(["exec", "box", "--", "cat"], { input })).toMatchObject({
      stdout: input,
    });
    expect(await cli.run(["exec", "box", "--no-stdin", "--", "cat"], { input })).toMatchObject({
      code: 0,
      stdout: "",
    });
    await cli.run(["exec", "box", "--", "mkdir", "-p", "sub"]);
    const where = ["--workdir", "/workspace/sub", "--env", "GREETING=hi"];
    const result = await cli.run(["exec", "box", ...where, "-c", "pwd; echo $GREETING"]);
    expect(result.stdout).toBe("/workspace/sub\nhi\n");
  });

  it("prints the whole result with --json", async () => {
    const result = await cli.run(["exec", "box", "--json", "-c", "echo out; exit 5"]);
    expect(result.code).toBe(5);
    expect(JSON.parse(result.stdout)).toMatchObject({
      exitCode: 5,
      stdout: "out\n",
      stderr: "",
      timedOut: false,
    });
  });

  it("ends with 124 after a timeout and 127 for a program that is not there", async () => {
    const slow = await cli.run(["exec", "box", "--timeout", "200ms", "-c", "sleep 60"]);
    expect(slow.code).toBe(124);
    expect(slow.stderr).toContain("[COMMAND_TIMEOUT]");
    const missing = await cli.run(["exec", "box", "--", "no-such-program"]);
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain("[COMMAND_NOT_FOUND]");
  });

  it("needs one command", async () => {
    expect((await cli.run(["exec", "box"])).code).toBe(2);
    expect((await cli.run(["exec", "box", "-c", "ls", "--", "ls"])).code).toBe(2);
    const unknown = await cli.run(["exec", "box", "ls", "-la"]);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain("--");
  });
});

describe("templates, fields and scripts", () => {
  it("applies, shows, uses and deletes a template with fields", async () => {
    const file = await cli.write("app.yaml", TEMPLATE);
    expect(await cli.json(["templates", "apply", "-f", file])).toEqual({
      items: [{ name: "app", result: "created" }],
    });
    const again = await cli.json(["templates", "apply", "-f", "-"], { input: TEMPLATE });
    expect(again).toEqual({ items: [{ name: "app", result: "unchanged" }] });
    const listed = await cli.json<Listed>(["templates", "list"]);
    expect(listed.items.map((template) => template.name)).toContain("app");
    expect(await cli.json(["templates", "show", "app"])).toMatchObject({
      name: "app",
      source: expect.stringContaining(TEMPLATE.trim()),
    });
    expect((await cli.run(["templates", "show", "app"])).stdout).toBe(TEMPLATE);

    await cli.json(["create", "fielded", "--template", "app", "--field", "branch=dev"]);
    expect(await cli.json(["fields", "get", "fielded", "branch"])).toEqual({
      value: "dev",
      secret: false,
    });
    await cli.json(["fields", "set", "fielded", "token", "-"], { input: "s3cret\n" });
    expect((await cli.run(["fields", "get", "fielded", "token"])).stdout).toBe("s3cret\n");
    const fields = await cli.json<Listed>(["fields", "list", "fielded"]);
    expect(fields.items).toMatchObject([
      { name: "branch", value: "dev" },
      { name: "token", value: "***", secret: true },
    ]);
    expect((await cli.run(["fields", "list", "fielded"])).stdout).not.toContain("s3cret");

    const used = await cli.run(["templates", "delete", "app", "--json"]);
    expect(JSON.parse(used.stderr).error.code).toBe("TEMPLATE_IN_USE");
    await cli.json(["delete", "fielded"]);
    expect(await cli.json(["templates", "delete", "app"])).toEqual({
      template: "app",
      deleted: true,
    });
  });

  it("names file, line and column of a template that is not valid", async () => {
    const file = await cli.write("bad.yaml", "name: bad\nnetwork: sideways\n");
    const result = await cli.run(["templates", "apply", "-f", file]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/bad\.yaml:2:\d+/);
    expect((await cli.run(["templates", "apply", "-f", "gone.yaml"])).code).toBe(2);
    expect((await cli.run(["templates", "apply"])).code).toBe(2);
  });

  it("saves, lists, shows, runs and deletes a script", async () => {
    const file = await cli.write("hello.js", 'console.log("hello");\n');
    expect(await cli.json(["scripts", "save", file, "--description", "greets"])).toMatchObject({
      name: "hello",
      language: "javascript",
      description: "greets",
    });
    const listed = await cli.json<Listed>(["scripts", "list"]);
    expect(listed.items).toMatchObject([{ name: "hello", description: "greets" }]);
    expect((await cli.run(["scripts", "show", "hello"])).stdout).toBe('console.log("hello");\n');
    expect(await cli.json(["scripts", "show", "hello"])).toMatchObject({ name: "hello" });
    expect(await cli.json(["scripts", "run", "hello"])).toMatchObject({
      exitCode: 0,
      output: "hello\n",
    });
    expect(await cli.json(["scripts", "delete", "hello"])).toMatchObject({ deleted: true });
    expect((await cli.run(["scripts", "show", "hello"])).code).toBe(1);
    expect((await cli.run(["scripts", "save", "-"], { input: "1" })).code).toBe(2);
  });
});
