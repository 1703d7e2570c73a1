/** The `spaces` modules over a host that records its calls; the sandbox is not involved. */
import { beforeEach, describe, expect, it, vi } from "vitest";

const { calls, answers, host } = await vi.hoisted(async () =>
  (await import("../test/support/script-host.js")).scriptHost(),
);
vi.mock("spaces:host", () => host);

const { default: spaces } = await import("./spaces.js");
const { default: asyncSpaces } = await import("./spaces-async.js");

const space = (extra: object = {}) => ({
  id: "spc_1",
  name: "dev",
  owner: "me",
  template: "node",
  description: "A space",
  shell: "bash",
  status: "running",
  isRunning: true,
  driver: "virtual",
  env: {},
  metadata: {},
  fields: {},
  createdAt: "2026-01-01T00:00:00Z",
  updatedAt: "2026-01-01T00:00:00Z",
  ...extra,
});

const command = (extra: object = {}) => ({
  exitCode: 0,
  stdout: "out\n",
  stderr: "",
  output: "out\n",
  truncated: false,
  timedOut: false,
  durationMs: 5,
  ...extra,
});

const invalid = (message: RegExp) =>
  expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringMatching(message) });

/** The error that a call throws. */
function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

beforeEach(() => {
  calls.length = 0;
  answers.clear();
  answers.set("processes.run", () => command());
  for (const name of ["get", "create", "start", "stop", "restart"]) {
    answers.set(`spaces.${name}`, () => space());
  }
});

describe("starting and stopping", () => {
  it("returns true and names the space to the host", () => {
    expect([spaces.start("dev"), spaces.stop("dev"), spaces.restart("dev")]).toEqual([
      true,
      true,
      true,
    ]);
    expect(calls.map(([name]) => name)).toEqual(["spaces.start", "spaces.stop", "spaces.restart"]);
  });

  it("deletes under both names, with force on demand", () => {
    spaces.delete("dev");
    spaces.remove("dev", { force: true });
    expect(calls).toEqual([
      ["spaces.delete", { space: "dev" }],
      ["spaces.delete", { space: "dev", force: true }],
    ]);
  });
});

describe("create", () => {
  it("takes description and shell by position", () => {
    expect(spaces.create("dev", "node", "Mine", "zsh")).toBe("spc_1");
    expect(calls).toEqual([
      ["spaces.create", { name: "dev", template: "node", description: "Mine", shell: "zsh" }],
    ]);
  });

  it("takes options as an object, and starts the space on demand", () => {
    spaces.create("dev", "node", { env: { A: "1" }, fields: { f: "x" }, start: true });
    expect(calls).toEqual([
      ["spaces.create", { name: "dev", template: "node", env: { A: "1" }, fields: { f: "x" } }],
      ["spaces.start", { space: "spc_1" }],
    ]);
  });

  it("passes keys such as __proto__ on as plain keys", () => {
    const metadata = JSON.parse('{"__proto__":"a","constructor":"b"}') as object;
    spaces.create("dev", "node", { metadata });
    const input = calls[0]?.[1] as { metadata: object };
    expect(Object.entries(input.metadata)).toEqual([
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
  });

  it.each([
    [["dev"], /create\(\) requires template name/],
    [["dev", "node", 5], /create\(\) requires description as a string, but got the number 5/],
    [["dev", "node", "", 7], /requires shell/],
    [["dev", "node", { shel: "zsh" }], /no option "shel"/],
    [["dev", "node", { env: { A: 1 } }], /option "env"\["A"\] as a string/],
    [["dev", "node", { env: [] }], /option "env" as an object of strings, but got an array/],
    [["dev", "node", { start: "yes" }], /option "start" as true or false/],
    [["dev", "node", {}, "zsh"], /too many arguments/],
    [["dev", "node", new Map()], /requires description/],
  ])("refuses %j before asking the host", (args, message) => {
    expect(thrown(() => spaces.create(...args))).toEqual(invalid(message));
    expect(calls).toEqual([]);
  });
});

describe("list", () => {
  it("pages through all spaces", () => {
    answers.set("spaces.list", ({ cursor }) =>
      cursor === undefined
        ? { items: [space()], nextCursor: "2" }
        : { items: [space({ name: "test", lastError: { code: "X", message: "y" } })] },
    );
    const all = spaces.list();
    expect(all.map((item) => item.name)).toEqual(["dev", "test"]);
    expect(all[0]).toMatchObject({ id: "spc_1", is_running: true, created_at: expect.any(String) });
    expect(all[0]).not.toHaveProperty("last_error");
    expect(all[1]?.last_error).toEqual({ code: "X", message: "y" });
  });

  it("stops at the limit, and passes filters on", () => {
    answers.set("spaces.list", () => ({ items: [space(), space()], nextCursor: "more" }));
    expect(spaces.list({ status: "running", limit: 3 })).toHaveLength(3);
    expect(calls.map(([, input]) => input)).toEqual([
      { status: "running", limit: 3 },
      { status: "running", limit: 1, cursor: "more" },
    ]);
  });

  it.each([[{ limit: 0 }], [{ limit: 1.5 }], ["running"], [{ stauts: "running" }], [null]])(
    "refuses %j",
    (options) => {
      expect(thrown(() => spaces.list(options))).toMatchObject({ code: "INVALID_INPUT" });
    },
  );

  it("leaves keys that users chose as they are", () => {
    answers.set("spaces.get", () => space({ metadata: { isRunning: "yes", some_key: "1" } }));
    expect(spaces.get("dev").metadata).toEqual({ isRunning: "yes", some_key: "1" });
  });
});

describe("run", () => {
  it("gives the output, with the seed's defaults", () => {
    expect(spaces.run("dev", "ls -la")).toBe("out\n");
    expect(calls).toEqual([
      ["processes.run", { space: "dev", command: "ls -la", timeoutMs: 30_000 }],
    ]);
  });

  it("takes arguments, timeout and directory by position or as an object", () => {
    spaces.run("dev", "npm", ["ci"], 0.5, "/app");
    spaces.run("dev", "npm", { args: ["ci"], timeout: 0.5, workdir: "/app" });
    expect(calls[0]).toEqual(calls[1]);
    expect(calls[0]?.[1]).toMatchObject({ args: ["ci"], timeoutMs: 500, workdir: "/app" });
  });

  it("passes environment and input on", () => {
    spaces.run("dev", "cat", { env: { A: "" }, input: "text" });
    expect(calls[0]?.[1]).toMatchObject({ env: { A: "" }, input: "text" });
  });

  it("throws COMMAND_FAILED with all of the outcome", () => {
    answers.set("processes.run", () =>
      command({ exitCode: 3, stderr: "first\nno such file\n", output: "out\nno such file\n" }),
    );
    expect(thrown(() => spaces.run("dev", "ls", ["x y"]))).toMatchObject({
      code: "COMMAND_FAILED",
      message: 'The command "ls x y" in space "dev" failed with exit code 3: no such file',
      details: {
        exit_code: 3,
        stdout: "out\n",
        stderr: "first\nno such file\n",
        output: "out\nno such file\n",
        truncated: false,
      },
    });
  });

  it("names the signal that ended a command", () => {
    answers.set("processes.run", () => command({ exitCode: 137, signal: "SIGKILL", output: "" }));
    expect(thrown(() => spaces.run("dev", "ls"))).toMatchObject({
      message: 'The command "ls" in space "dev" was ended by SIGKILL (exit code 137).',
      details: { signal: "SIGKILL" },
    });
  });

  it("throws COMMAND_TIMEOUT with the output so far", () => {
    answers.set("processes.run", () => command({ exitCode: 137, timedOut: true }));
    expect(thrown(() => spaces.run("dev", "sleep 9", [], 1.5))).toMatchObject({
      code: "COMMAND_TIMEOUT",
      message: expect.stringContaining("within 1.5 s"),
      details: { output: "out\n" },
    });
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e308, "5", null, true])(
    "refuses the timeout %s",
    (timeout) => {
      expect(thrown(() => spaces.run("dev", "ls", [], timeout))).toEqual(invalid(/timeout/));
      expect(thrown(() => spaces.exec("dev", "ls", { timeout }))).toEqual(invalid(/timeout/));
      expect(calls).toEqual([]);
    },
  );

  it.each([
    [["", "ls"], /space name as a string, but got an empty string/],
    [["dev"], /run\(\) requires command/],
    [["dev", "ls", "-la"], /args as an array of strings, but got a string/],
    [["dev", "ls", ["a", 1]], /args\[1\]/],
    [["dev", "ls", [undefined]], /args\[0\]/],
    [["dev", "ls", { args: [] }, 5], /too many arguments/],
    [["dev", "ls", [], 5, "/", "x"], /too many arguments/],
    [["dev", "ls", JSON.parse('{"__proto__":1}')], /no option "__proto__"/],
  ])("refuses %j", (args, message) => {
    expect(thrown(() => spaces.run(...args))).toEqual(invalid(message));
  });
});

it("exec gives exit codes and timeouts as results", () => {
  answers.set("processes.run", () => command({ exitCode: 2, timedOut: true }));
  expect(spaces.exec("dev", "false")).toEqual({
    exit_code: 2,
    stdout: "out\n",
    stderr: "",
    output: "out\n",
    truncated: false,
    timed_out: true,
    duration_ms: 5,
  });
});

describe("run_script", () => {
  const script = (extra: object) => ({
    exitCode: 0,
    output: "done\n",
    truncated: false,
    durationMs: 1,
    ...extra,
  });

  it("gives the output, and passes arguments and a timeout on", () => {
    answers.set("scripts.run", () => script({}));
    expect(spaces.run_script("dev", "deploy", "a", "b", { timeout: 90 })).toBe("done\n");
    expect(calls).toEqual([
      ["scripts.run", { space: "dev", script: "deploy", args: ["a", "b"], timeoutMs: 90_000 }],
    ]);
  });

  it("passes an input on", () => {
    answers.set("scripts.run", () => script({}));
    spaces.run_script("dev", "deploy", { input: { keep: 3 } });
    expect(calls).toEqual([
      ["scripts.run", { space: "dev", script: "deploy", args: [], input: { keep: 3 } }],
    ]);
  });

  it.each([
    [{ exitCode: 3 }, "SCRIPT_FAILED", /exit code 3/],
    [{ exitCode: 1, error: { code: "SPACE_NOT_FOUND", message: "No." } }, "SCRIPT_FAILED", /No\./],
    [
      { exitCode: 124, error: { code: "SCRIPT_TIMEOUT", message: "Late." } },
      "SCRIPT_TIMEOUT",
      /Late/,
    ],
  ])("throws with the output so far: %j", (extra, code, message) => {
    answers.set("scripts.run", () => script(extra));
    expect(thrown(() => spaces.run_script("dev", "deploy"))).toMatchObject({
      code,
      message: expect.stringMatching(message),
      details: { output: "done\n", exit_code: extra.exitCode },
    });
  });

  it("refuses arguments that are no strings", () => {
    expect(thrown(() => spaces.run_script("dev", "deploy", 5))).toEqual(invalid(/args\[0\]/));
  });
});

describe("fields and description", () => {
  it("reads and writes them", () => {
    answers.set("fields.get", () => ({ value: "eu" }));
    answers.set("fields.list", () => ({
      items: [{ name: "region", description: "", secret: false, value: "eu", isSet: true }],
    }));
    expect(spaces.get_field("dev", "region")).toBe("eu");
    expect(spaces.set_field("dev", "region", "")).toBe(true);
    expect(spaces.list_fields("dev")[0]).toMatchObject({ name: "region", is_set: true });
    expect(spaces.set_description("dev", "")).toBe(true);
    expect(spaces.get_description("dev")).toBe("A space");
  });

  it("never shows a refused value, which may be a secret", () => {
    const error = thrown(() => spaces.set_field("dev", "key", { secret: "hunter2" } as never));
    expect(error).toEqual(invalid(/set_field\(\) requires value as a string, but got an object/));
    expect(JSON.stringify(error)).not.toContain("hunter2");
  });
});

describe("the module object", () => {
  it("names the function that was meant", () => {
    const loose = spaces as unknown as Record<string, () => void>;
    expect(() => loose.strat?.()).toThrow(
      "spaces.strat is not a function. Did you mean spaces.start?",
    );
    expect(() => loose.getFeild?.()).toThrow("Did you mean spaces.getField?");
    expect(() => loose.frobnicate?.()).toThrow(/spaces has: start, stop/);
  });

  it("has camelCase aliases that are the same functions", () => {
    expect(spaces.getField).toBe(spaces.get_field);
    expect(spaces.runScript).toBe(spaces.run_script);
    expect("getField" in spaces).toBe(true);
    expect("nothing" in spaces).toBe(false);
  });

  it("cannot be tampered with", () => {
    const loose = spaces as unknown as Record<string, unknown>;
    expect(() => {
      loose.start = () => true;
    }).toThrow(/read-only/);
    expect(() => {
      delete loose.start;
    }).toThrow(TypeError);
    expect(() => Object.defineProperty(loose, "start", { value: 1 })).toThrow(TypeError);
    expect(Object.isFrozen(spaces.start)).toBe(true);
  });

  it("can be awaited, shown and turned into JSON", async () => {
    expect(await Promise.resolve(spaces)).toBe(spaces);
    expect(JSON.stringify(spaces)).toBe("{}");
    expect(String(spaces)).toBe("[object Object]");
  });
});

describe("spaces/async", () => {
  it("gives the same results as promises", async () => {
    expect(await asyncSpaces.run("dev", "ls")).toBe("out\n");
    expect(await asyncSpaces.start("dev")).toBe(true);
    expect(Object.keys(asyncSpaces)).toEqual(Object.keys(spaces));
  });

  it("rejects instead of throwing", async () => {
    await expect(asyncSpaces.start()).rejects.toEqual(invalid(/start\(\) requires space name/));
  });
});

describe("ports", () => {
  it("forwards, lists and stops", () => {
    answers.set("ports.list", () => ({
      items: [
        { source: {}, localPort: 8080, remote: { name: "api" }, remotePort: 3000 },
        { localPort: 9090, remote: { name: "dev" }, remotePort: 80 },
      ],
    }));
    expect(spaces.port_forward("dev", 8080, "api", 3000)).toBe(true);
    expect(spaces.port_list("dev")).toEqual([
      { local_port: 8080, space: "api", remote_port: 3000 },
    ]);
    expect(spaces.port_stop("dev", 8080)).toBe(true);
    expect(calls).toEqual([
      ["ports.forward", { space: "dev", localPort: 8080, remote: "api", remotePort: 3000 }],
      ["ports.list", { space: "dev" }],
      ["ports.stop", { space: "dev", localPort: 8080 }],
    ]);
  });

  it.each([-1, 0, 65_536, 1.5, Number.NaN, "80", "0x50", null, undefined])(
    "refuses %s as a port",
    (port) => {
      for (const call of [
        () => spaces.port_forward("dev", port, "api", 3000),
        () => spaces.port_forward("dev", 8080, "api", port),
        () => spaces.port_stop("dev", port),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
      }
      expect(calls).toEqual([]);
    },
  );
});
