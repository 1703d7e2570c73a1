/**
 * The `spaces` module inside of the MCP environment: every function of the reference, called by a script
 * that a real MCP client has run, over both transports and on every driver.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { drivers } from "../support/cli.js";
import { callTool, McpHome } from "../support/mcp.js";

/** Prints what a call gives, or the code of the error that it throws. */
const TELL = `
  import spaces from "spaces";
  const tell = (call) => {
    try {
      console.log(JSON.stringify(call()));
    } catch (e) {
      console.log(e.code ?? String(e));
    }
  };
`;

const TEMPLATES = `
name: my-template
fields:
  - { name: environment }
  - { name: api_key, secret: true }
  - { name: region, default: eu }
---
name: server
startup: ["echo served > index.html"]
`;

const STORED = {
  "js-script.js": `
    import { args } from "runtime";
    import { name, run } from "space";
    console.log("js", name, args.join("+"), run("printf", ["%s", "inside"]));
  `,
  "shell-script.sh": '#!/bin/sh\necho "sh $1 $2"; pwd\n',
  "fails.ts": 'console.log("so far"); throw new RangeError("too far");',
};

const combinations = (await drivers()).flatMap((each) =>
  (["stdio", "http"] as const).map((transport) => ({ ...each, transport })),
);

describe.each(combinations)("scripts over MCP, $transport, $driver", (combination) => {
  const { driver, available, transport } = combination;
  describe.skipIf(!available)("the functions of the module", () => {
    let mcp: McpHome;

    beforeAll(async () => {
      mcp = await McpHome.make(transport, driver);
      await mcp.command(["templates", "apply", "-f", "-"], TEMPLATES);
      for (const [file, source] of Object.entries(STORED)) {
        await mcp.command(["scripts", "save", await mcp.cli.write(file, source)]);
      }
      await mcp.lines(`
        import spaces from "spaces";
        spaces.create("dev", "my-template", "Where it is tried", "sh");
        spaces.start("dev");
      `);
    });
    afterAll(async () => {
      await mcp[Symbol.asyncDispose]();
    });

    it("create, start, is_running, restart, stop and delete tell and change the state", async () => {
      const lines = await mcp.lines(`${TELL}
        tell(() => spaces.create("cycle", "my-template").slice(0, 4));
        tell(() => spaces.create("cycle", "my-template"));
        tell(() => spaces.create("other", "no-template"));
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.restart("cycle"));
        tell(() => spaces.start("cycle"));
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.restart("cycle"));
        tell(() => spaces.delete("cycle"));
        tell(() => spaces.stop("cycle"));
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.delete("cycle"));
        tell(() => spaces.is_running("cycle"));
      `);
      expect(lines).toEqual([
        '"spc_"',
        "SPACE_EXISTS",
        "TEMPLATE_NOT_FOUND",
        "false",
        "SPACE_NOT_RUNNING",
        "true",
        "true",
        "true",
        "SPACE_RUNNING",
        "true",
        "false",
        "true",
        "SPACE_NOT_FOUND",
      ]);
    });

    it("list gives the spaces, with what was given at their creation", async () => {
      const lines = await mcp.lines(`
        import spaces from "spaces";
        for (const { name, id, is_running, description, shell, driver } of spaces.list()) {
          console.log(name, id.slice(0, 4), is_running, description, shell, driver);
        }
      `);
      expect(lines).toEqual([`dev spc_ true Where it is tried sh ${driver}`]);
    });

    it("get_field and set_field, get_description and set_description keep what they are given", async () => {
      const lines = await mcp.lines(`${TELL}
        tell(() => spaces.get_field("dev", "environment"));
        tell(() => spaces.get_field("dev", "region"));
        tell(() => spaces.set_field("dev", "api_key", "sk-1234567890"));
        tell(() => spaces.get_field("dev", "api_key") === ["sk", "1234567890"].join("-"));
        tell(() => spaces.get_field("dev", "nope"));
        tell(() => spaces.set_field("dev", "nope", "x"));
        tell(() => spaces.set_description("dev", "Updated ü \\n '\\"\\\\ text"));
        tell(() => spaces.get_description("dev"));
        tell(() => spaces.get_description("nope"));
      `);
      expect(lines).toEqual([
        '""',
        '"eu"',
        "true",
        "true",
        "FIELD_NOT_DEFINED",
        "FIELD_NOT_DEFINED",
        "true",
        JSON.stringify("Updated ü \n '\"\\ text"),
        "SPACE_NOT_FOUND",
      ]);
    });

    it("run takes arguments, a time limit and a directory, and says how a command failed", async () => {
      const lines = await mcp.lines(`${TELL}
        tell(() => spaces.run("dev", "printf", ["%s|", "a b", "$HOME"]));
        tell(() => spaces.run("dev", "mkdir -p sub; echo one; echo two >&2"));
        tell(() => spaces.run("dev", "pwd", [], 10, "/workspace/sub"));
        tell(() => spaces.run("dev", "exit 3"));
        tell(() => spaces.run("dev", "sleep 60", [], 0.3));
        tell(() => spaces.run("nope", "true"));
      `);
      expect(lines).toEqual([
        '"a b|$HOME|"',
        String.raw`"one\ntwo\n"`,
        String.raw`"/workspace/sub\n"`,
        "COMMAND_FAILED",
        "COMMAND_TIMEOUT",
        "SPACE_NOT_FOUND",
      ]);
    });

    it("run_script runs scripts in a sandbox and in the space, and says how one failed", async () => {
      const lines = await mcp.lines(`${TELL}
        tell(() => spaces.run_script("dev", "js-script", "production", "v1.2.3"));
        tell(() => spaces.run_script("dev", "shell-script", "a b", "$HOME"));
        tell(() => spaces.run_script("dev", "fails"));
        tell(() => spaces.run_script("dev", "nope"));
        tell(() => spaces.run_script("nope", "js-script"));
      `);
      expect(lines).toEqual([
        String.raw`"js dev production+v1.2.3 inside\n"`,
        String.raw`"sh a b $HOME\n/workspace\n"`,
        "SCRIPT_FAILED",
        "SCRIPT_NOT_FOUND",
        "SPACE_NOT_FOUND",
      ]);
    });

    it.runIf(driver !== "virtual")(
      "port_forward makes a port of one space reach another; port_list and port_stop tell and end it",
      async () => {
        await mcp.lines(`
          import spaces from "spaces";
          for (const name of ["web", "api"]) spaces.create(name, "server", { start: true });
        `);
        const listen = "cd /workspace && exec python3 -m http.server 3000 --bind 127.0.0.1";
        await mcp.command(["exec", "--detach", "api", "--", "sh", "-c", listen]);
        const lines = await mcp.lines(`${TELL}
          import { sleep } from "runtime";
          const fetched = (space, port) =>
            spaces.exec(space, "curl -sS --max-time 5 localhost:" + port).output;
          for (let i = 0; i < 100 && fetched("api", 3000) !== "served\\n"; i++) sleep(0.1);
          tell(() => spaces.port_forward("web", 8080, "api", 3000));
          tell(() => fetched("web", 8080));
          tell(() => spaces.port_list("web"));
          tell(() => spaces.port_forward("web", 8080, "api", 3000));
          tell(() => spaces.port_stop("web", 8080));
          tell(() => spaces.port_list("web"));
          tell(() => spaces.port_stop("web", 8080));
          tell(() => spaces.port_forward("web", 0, "api", 3000));
          tell(() => spaces.port_forward("web", 8080, "nope", 3000));
          for (const name of ["web", "api"]) spaces.delete(name, { force: true });
        `);
        expect(lines).toEqual([
          "true",
          String.raw`"served\n"`,
          '[{"local_port":8080,"space":"api","remote_port":3000}]',
          "PORT_IN_USE",
          "true",
          "[]",
          "FORWARD_NOT_FOUND",
          "INVALID_INPUT",
          "SPACE_NOT_FOUND",
        ]);
      },
    );

    it.runIf(driver === "virtual")(
      "port_forward is unsupported where there are no ports",
      async () => {
        const lines = await mcp.lines(`${TELL}
        spaces.create("web", "my-template", { start: true });
        tell(() => spaces.port_forward("web", 8080, "dev", 3000));
        tell(() => spaces.port_list("web"));
        tell(() => spaces.port_stop("web", 8080));
        spaces.delete("web", { force: true });
      `);
        expect(lines).toEqual(["UNSUPPORTED", "[]", "FORWARD_NOT_FOUND"]);
      },
    );

    it("an uncaught error of the module comes with its code, its line and what to do", async () => {
      const source = 'import spaces from "spaces";\n\nspaces.start("nope");\n';
      const result = await callTool(mcp.client, "run_script", { source });
      expect(result).toMatchObject({
        isError: true,
        structured: {
          status: "failed",
          exit_code: 1,
          untrusted: {
            error: { details: { position: { line: 3 }, error: { code: "SPACE_NOT_FOUND" } } },
          },
        },
      });
      expect(result.text).toContain("SPACE_NOT_FOUND: List the spaces");
      expect(result.text).toContain('> 3 | spaces.start("nope");');
    });

    it("run_command and the file tools reach the same space", async () => {
      const { client } = mcp;
      const at = { space: "dev", path: "notes/a.txt" };
      await callTool(client, "change_files", { action: "write", ...at, content: "one two\n" });
      await callTool(client, "change_files", {
        ...{ action: "edit", ...at },
        ...{ old_text: "two", new_text: "three" },
      });
      const run = await callTool(client, "run_command", {
        ...{ space: "dev", command: "cat", args: ["a.txt"], workdir: "notes" },
      });
      expect(run.structured).toMatchObject({ exit_code: 0, untrusted: { output: "one three\n" } });
      const read = await callTool(client, "files", { action: "read", ...at });
      expect(read.structured.untrusted.content).toBe("one three\n");
      await callTool(client, "change_files", { action: "remove", ...at });
      expect(await callTool(client, "files", { action: "stat", ...at })).toMatchObject({
        isError: true,
        structured: { error: { code: "FILE_NOT_FOUND" } },
      });
    });
  });
});
