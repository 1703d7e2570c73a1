/** Every function of the `spaces` module from inside of a script, in success and in failure. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome, drivers } from "../support/cli.js";

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
name: never-starts
startup: ["echo no >&2; exit 3"]
---
name: starts-once
startup: ["test ! -e started && touch started"]
`;

const STORED = {
  "js-script.js": `
    import { args } from "runtime";
    import { name, run } from "space";
    console.log("js", name, args.join("+"), run("printf", ["%s", "inside"]));
    console.error("and stderr");
  `,
  "ts-script.ts": `
    import { args } from "runtime";
    import space from "space";
    const count: number = args.length;
    interface Shown { readonly count: number }
    console.log("ts", space.name, { count } satisfies Shown);
  `,
  "shell-script.sh": '#!/bin/sh\necho "sh $1 $2"; pwd; echo err >&2\n',
  "fails.ts": 'console.log("so far"); throw new RangeError("too far");',
  "exits.ts": 'import { exit } from "runtime"; console.log("so far"); exit(7);',
  "shell-fails.sh": "#!/bin/sh\necho so far; exit 3\n",
  "spins.js": 'console.log("so far"); for (;;);',
  "shell-sleeps.sh": "#!/bin/sh\necho so far; sleep 30\n",
};

describe.each(await drivers())("scripts on $driver", ({ driver, available }) => {
  describe.skipIf(!available)("the functions of the module", () => {
    let cli: CliHome;

    beforeAll(async () => {
      cli = await CliHome.make(driver);
      const applied = await cli.run(["templates", "apply", "-f", "-"], { input: TEMPLATES });
      expect(applied).toMatchObject({ code: 0 });
      for (const [file, source] of Object.entries(STORED)) {
        const saved = await cli.run(["scripts", "save", await cli.write(file, source)]);
        expect(saved).toMatchObject({ code: 0 });
      }
      const created = await cli.run(["create", "dev", "--template", "my-template", "--start"]);
      expect(created).toMatchObject({ code: 0 });
    });

    afterAll(async () => {
      await cli[Symbol.asyncDispose]();
    });

    it("start, stop, restart and is_running tell and change the state", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.create("cycle", "my-template") !== "");
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.restart("cycle"));
        tell(() => spaces.stop("cycle"));
        tell(() => spaces.start("cycle"));
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.start("cycle"));
        tell(() => spaces.restart("cycle"));
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.delete("cycle"));
        tell(() => spaces.stop("cycle"));
        tell(() => spaces.is_running("cycle"));
        tell(() => spaces.delete("cycle"));
        tell(() => spaces.is_running("cycle"));
      `);
      expect(lines).toEqual([
        "true",
        "false",
        "SPACE_NOT_RUNNING",
        "true",
        "true",
        "true",
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

    it("every function that takes a space says when there is none", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.start("nope"));
        tell(() => spaces.stop("nope"));
        tell(() => spaces.restart("nope"));
        tell(() => spaces.is_running("nope"));
        tell(() => spaces.delete("nope"));
        tell(() => spaces.get_field("nope", "environment"));
        tell(() => spaces.set_field("nope", "environment", ""));
        tell(() => spaces.get_description("nope"));
        tell(() => spaces.set_description("nope", ""));
        tell(() => spaces.run("nope", "true"));
        tell(() => spaces.exec("nope", "true"));
        tell(() => spaces.run_script("nope", "js-script"));
        tell(() => spaces.get("nope"));
        tell(() => spaces.list_fields("nope"));
      `);
      expect(lines).toEqual(Array.from({ length: 14 }, () => "SPACE_NOT_FOUND"));
    });

    it("an error says what, and what to do", async () => {
      const lines = await cli.lines(`
        import spaces from "spaces";
        try {
          spaces.start("nope");
        } catch (e) {
          console.log(\`Failed to start space: \${e}\`);
          console.log(e.name, e.code, e.status, e instanceof Error);
          console.log(e.suggestion);
        }
      `);
      expect(lines).toEqual([
        'Failed to start space: SpacesError: There is no space "nope".',
        "SpacesError SPACE_NOT_FOUND 404 true",
        expect.stringContaining("spaces list"),
      ]);
    });

    it("start and restart say when the space cannot be started", async () => {
      const lines = await cli.lines(`${TELL}
        spaces.create("never", "never-starts");
        tell(() => spaces.start("never"));
        tell(() => spaces.is_running("never"));
        tell(() => spaces.get("never").last_error.code);
        tell(() => spaces.delete("never"));
        spaces.create("once", "starts-once", { start: true });
        tell(() => spaces.restart("once"));
        tell(() => spaces.get("once").status);
        tell(() => spaces.delete("once", { force: true }));
      `);
      expect(lines).toEqual([
        "SPACE_START_FAILED",
        "false",
        '"SPACE_START_FAILED"',
        "true",
        "SPACE_START_FAILED",
        '"error"',
        "true",
      ]);
    });

    it("create takes its options by position and as an object, and gives the id", async () => {
      const lines = await cli.lines(`
        import spaces from "spaces";
        const byPosition = spaces.create("by-position", "my-template", "My space", "sh");
        const byObject = spaces.create("by-object", "my-template", {
          description: "Mine",
          shell: "sh",
          env: { COLOUR: "blue" },
          fields: { region: "us", api_key: "sk-1" },
          metadata: { team: "web" },
          start: true,
        });
        spaces.create("by-default", "my-template");
        const found = Object.fromEntries(spaces.list().map((space) => [space.name, space]));
        const a = found["by-position"], b = found["by-object"], c = found["by-default"];
        console.log(/^spc_/.test(byPosition), a.id === byPosition, b.id === byObject);
        console.log(a.description, a.shell, a.is_running, b.description, b.shell, b.is_running);
        console.log(JSON.stringify(c.description), c.shell, c.is_running);
        console.log(b.env.COLOUR, b.fields.region, b.fields.api_key, b.metadata.team);
        console.log(spaces.run("by-object", "echo $COLOUR").trim());
        for (const name of ["by-position", "by-object", "by-default"]) {
          spaces.delete(name, { force: true });
        }
        console.log(spaces.list().map((space) => space.name).join());
      `);
      expect(lines).toEqual([
        "true true true",
        "My space sh false Mine sh true",
        '"" bash false',
        "blue us *** web",
        "blue",
        "dev",
      ]);
    });

    it("create says why it fails", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.create("dev", "my-template"));
        tell(() => spaces.create("new", "no-template"));
        tell(() => spaces.create("Not A Name", "my-template"));
        tell(() => spaces.create("", "my-template"));
        tell(() => spaces.create("new"));
        tell(() => spaces.create("new", "my-template", { fields: { nope: "1" } }));
        tell(() => spaces.create("new", "my-template", { colour: "blue" }));
        tell(() => spaces.create("new", "my-template", "text", "powershell"));
        tell(() => spaces.create(5, "my-template"));
        tell(() => spaces.list().map((space) => space.name));
      `);
      expect(lines).toEqual([
        "SPACE_EXISTS",
        "TEMPLATE_NOT_FOUND",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "FIELD_NOT_DEFINED",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "INVALID_INPUT",
        '["dev"]',
      ]);
    });

    it("list gives all that belongs to a space", async () => {
      const lines = await cli.lines(`
        import spaces from "spaces";
        for (const space of spaces.list()) {
          const { name, id, is_running, description } = space;
          console.log(name, typeof id, is_running, typeof description);
          console.log(space.driver, space.template, space.status);
        }
        console.log(spaces.list({ status: "stopped" }).length);
        console.log(spaces.list({ template: "my-template", limit: 1 }).length);
      `);
      expect(lines).toEqual(["dev string true string", `${driver} my-template running`, "0", "1"]);
    });

    it("fields give what was set, their default or an empty string", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.get_field("dev", "api_key"));
        tell(() => spaces.get_field("dev", "region"));
        tell(() => spaces.set_field("dev", "api_key", "sk-1234567890"));
        tell(() => spaces.get_field("dev", "api_key"));
        tell(() => spaces.run("dev", "echo", ["key sk-1234567890"]));
        tell(() => spaces.set_field("dev", "api_key", ""));
        tell(() => spaces.get_field("dev", "api_key"));
        tell(() => spaces.get_field("dev", "undefined-field"));
        tell(() => spaces.set_field("dev", "undefined-field", "x"));
        tell(() => spaces.set_field("dev", "region", 5));
        tell(() => spaces.get_field("dev"));
      `);
      expect(lines).toEqual([
        '""',
        '"eu"',
        "true",
        '"sk-1234567890"',
        String.raw`"key ***\n"`,
        "true",
        '""',
        "FIELD_NOT_DEFINED",
        "FIELD_NOT_DEFINED",
        "INVALID_INPUT",
        "INVALID_INPUT",
      ]);
    });

    it("descriptions are read and written", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.set_description("dev", "Updated ü \\n '\\"\\\\ text"));
        tell(() => spaces.get_description("dev"));
        tell(() => spaces.set_description("dev", ""));
        tell(() => spaces.get_description("dev"));
        tell(() => spaces.set_description("dev"));
      `);
      expect(lines).toEqual([
        "true",
        JSON.stringify("Updated ü \n '\"\\ text"),
        "true",
        '""',
        "INVALID_INPUT",
      ]);
    });

    it("run takes arguments without a shell, and a command line with one", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.run("dev", "printf", { args: ["%s|", "a b", "$HOME"] }));
        tell(() => spaces.run("dev", "printf", ["%s|", "a b", "$HOME"]));
        tell(() => spaces.run("dev", "echo one; echo two >&2"));
        tell(() => spaces.run("dev", "echo $((1 + 2)) | cat", []));
        tell(() => spaces.run("dev", "mkdir -p sub"));
        tell(() => spaces.run("dev", "pwd", [], 10, "/workspace/sub"));
        tell(() => spaces.run("dev", "pwd", { workdir: "sub", timeout: 10 }));
        tell(() => spaces.run("dev", "echo $A; cat", { env: { A: "x" }, input: "in\\n" }));
        tell(() => spaces.run("dev", "pwd", [], 0.5e1, ""));
        tell(() => spaces.run("dev", "true"));
      `);
      expect(lines.map((line) => JSON.parse(line))).toEqual([
        "a b|$HOME|",
        "a b|$HOME|",
        "one\ntwo\n",
        "3\n",
        "",
        "/workspace/sub\n",
        "/workspace/sub\n",
        "x\nin\n",
        "/workspace\n",
        "",
      ]);
    });

    it("run says when the command fails, and keeps its output", async () => {
      const lines = await cli.lines(`${TELL}
        try {
          // Two pipes: what is written to both within microseconds has no order.
          spaces.run("dev", "echo out; sleep 0.2; echo err >&2; exit 3");
        } catch (e) {
          const { exit_code, stdout, stderr, output } = e.details;
          console.log(e.code, exit_code, JSON.stringify([stdout, stderr, output]));
          console.log(e.message.includes("dev"), e.message.includes("exit code 3"));
        }
        tell(() => spaces.run("dev", "false"));
        tell(() => spaces.run("dev", "exit 255"));
        tell(() => spaces.run("dev", "no-such-program", ["x"]));
        tell(() => spaces.run("dev", "no-such-program"));
        tell(() => spaces.run("dev", "pwd", { workdir: "missing" }));
        tell(() => spaces.run("dev", "pwd", { args: "no list" }));
        tell(() => spaces.run("dev", ""));
        tell(() => spaces.run("dev", "true", { unknown: 1 }));
        tell(() => spaces.exec("dev", "echo out; exit 3").exit_code);
        tell(() => spaces.exec("dev", "no-such-program", ["x"]));
      `);
      expect(lines).toEqual([
        `COMMAND_FAILED 3 ${JSON.stringify(["out\n", "err\n", "out\nerr\n"])}`,
        "true true",
        "COMMAND_FAILED",
        "COMMAND_FAILED",
        "COMMAND_NOT_FOUND",
        "COMMAND_FAILED",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "3",
        "COMMAND_NOT_FOUND",
      ]);
    });

    it("run kills what takes too long, and all that it started", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.run("dev", "sleep 60 & sleep 60", { timeout: 1 }));
        tell(() => spaces.run("dev", "sleep 60", [], 0.3));
        tell(() => spaces.run("dev", "sleep", ["60"], 0.3));
        const { timed_out, exit_code } = spaces.exec("dev", "sleep 60", { timeout: 0.3 });
        console.log(timed_out, exit_code);
        tell(() => spaces.run("dev", "echo alive"));
      `);
      expect(lines).toEqual([
        "COMMAND_TIMEOUT",
        "COMMAND_TIMEOUT",
        "COMMAND_TIMEOUT",
        "true 124",
        String.raw`"alive\n"`,
      ]);
    });

    it.skipIf(driver === "virtual")(
      "a command that was killed leaves no process, and its output so far in the error",
      async () => {
        const lines = await cli.lines(`
          import spaces from "spaces";
          try {
            spaces.run("dev", "echo before; sleep 60 & sleep 60", { timeout: 1 });
          } catch (e) {
            console.log(e.code, JSON.stringify(e.details.output));
          }
          console.log(spaces.run("dev", "grep -lz '^sleep' /proc/[0-9]*/cmdline; true") === "");
        `);
        expect(lines).toEqual([String.raw`COMMAND_TIMEOUT "before\n"`, "true"]);
      },
    );

    it("run refuses a time limit that is none", async () => {
      const lines = await cli.lines(`${TELL}
        for (const timeout of [0, -1, NaN, Infinity, 1e308, "5", null, true]) {
          tell(() => spaces.run("dev", "true", { timeout }));
          tell(() => spaces.run("dev", "true", [], timeout));
        }
      `);
      expect(lines).toEqual(Array.from({ length: 16 }, () => "INVALID_INPUT"));
    });

    it("run and run_script say when the space does not run", async () => {
      const lines = await cli.lines(`${TELL}
        spaces.create("idle", "my-template");
        tell(() => spaces.run("idle", "true"));
        tell(() => spaces.exec("idle", "true"));
        tell(() => spaces.run_script("idle", "js-script"));
        tell(() => spaces.run_script("idle", "shell-script"));
        spaces.delete("idle");
      `);
      expect(lines).toEqual(Array.from({ length: 4 }, () => "SPACE_NOT_RUNNING"));
    });

    it("run_script runs JavaScript and TypeScript in a sandbox, and a shebang in the space", async () => {
      const lines = await cli.lines(`${TELL}
        tell(() => spaces.run_script("dev", "js-script", "production", "v1.2.3"));
        tell(() => spaces.run_script("dev", "ts-script", "a", "b", "c"));
        tell(() => spaces.run_script("dev", "shell-script", "a b", "$HOME"));
        tell(() => spaces.run_script("dev", "js-script"));
        tell(() => spaces.run("dev", "ls -A") .includes("script"));
      `);
      expect(lines.map((line) => JSON.parse(line))).toEqual([
        "js dev production+v1.2.3 inside\nand stderr\n",
        "ts dev { count: 3 }\n",
        "sh a b $HOME\n/workspace\nerr\n",
        "js dev  inside\nand stderr\n",
        false,
      ]);
    });

    it("run_script says why it fails, with the output so far", async () => {
      const lines = await cli.lines(`
        import spaces from "spaces";
        const attempt = (...given) => {
          try {
            console.log(spaces.run_script("dev", ...given));
          } catch (e) {
            const output = JSON.stringify(e.details.output)?.slice(0, 10);
            console.log(e.code, output, e.details.exit_code);
          }
        };
        attempt("no-script");
        attempt("fails");
        attempt("exits");
        attempt("shell-fails");
        attempt("spins", { timeout: 0.5 });
        attempt("shell-sleeps", { timeout: 0.5 });
        attempt("js-script", 5);
        attempt("js-script", { colour: "blue" });
        attempt("../../etc/passwd");
        attempt("");
      `);
      expect(lines).toEqual([
        "SCRIPT_NOT_FOUND undefined undefined",
        String.raw`SCRIPT_FAILED "so far\n" 1`,
        String.raw`SCRIPT_FAILED "so far\n" 7`,
        String.raw`SCRIPT_FAILED "so far\n" 3`,
        String.raw`SCRIPT_TIMEOUT "so far\n" 124`,
        expect.stringMatching(
          driver === "virtual" ? /^SCRIPT_TIMEOUT .* 124$/ : /^SCRIPT_TIMEOUT "so far\\n" 124$/,
        ),
        "INVALID_INPUT undefined undefined",
        "INVALID_INPUT undefined undefined",
        "INVALID_INPUT undefined undefined",
        "INVALID_INPUT undefined undefined",
      ]);
    });

    it("the functions can be imported one by one, as a whole, and by camelCase names", async () => {
      const lines = await cli.lines(`
        import spaces, { getField, is_running, isRunning, delete as erase, remove } from "spaces";
        import * as all from "spaces";
        console.log(is_running("dev"), isRunning("dev"), getField("dev", "region"));
        console.log(all.default === spaces, all.start === spaces.start);
        for (const one of [erase, remove, spaces.delete, spaces.remove, all.delete, all.remove]) {
          try { one("nope"); } catch (e) { console.log(e.code); }
        }
        const pairs = [
          ["is_running", "isRunning"], ["get_field", "getField"], ["set_field", "setField"],
          ["get_description", "getDescription"], ["set_description", "setDescription"],
          ["run_script", "runScript"], ["list_fields", "listFields"],
          ["port_forward", "portForward"], ["port_list", "portList"], ["port_stop", "portStop"],
        ];
        console.log(pairs.every(([snake, camel]) =>
          typeof spaces[snake] === "function" && spaces[snake] === spaces[camel] &&
          all[snake] === all[camel]));
        console.log(spaces.runScript("dev", "ts-script").trim());
        try { spaces.stpo("dev"); } catch (e) { console.log(e.name, e.message); }
      `);
      expect(lines).toEqual([
        "true true eu",
        "true true",
        ...Array.from({ length: 6 }, () => "SPACE_NOT_FOUND"),
        "true",
        "ts dev { count: 0 }",
        "TypeError spaces.stpo is not a function. Did you mean spaces.stop?",
      ]);
    });

    it("spaces/async gives promises, for many spaces at once", async () => {
      const lines = await cli.lines(`
        import spaces from "spaces/async";
        const names = ["many-1", "many-2", "many-3", "many-4"];
        const ids = await Promise.all(names.map((name) => spaces.create(name, "my-template")));
        console.log(new Set(ids).size);
        console.log(JSON.stringify(await Promise.all(names.map((name) => spaces.start(name)))));
        const outputs = await Promise.all(
          names.map((name) => spaces.run(name, "echo", { args: [name] })),
        );
        console.log(outputs.join("").trim().split("\\n").join());
        const settled = await Promise.allSettled([
          spaces.start("nope"), spaces.get_field("many-1", "nope"), spaces.getField("many-1", "region"),
        ]);
        console.log(settled.map((one) => one.reason?.code ?? one.value).join());
        await Promise.all(names.map((name) => spaces.delete(name, { force: true })));
        try { await spaces.stop("many-1"); } catch (e) { console.log(e.code); }
      `);
      expect(lines).toEqual([
        "4",
        "[true,true,true,true]",
        "many-1,many-2,many-3,many-4",
        "SPACE_NOT_FOUND,FIELD_NOT_DEFINED,eu",
        "SPACE_NOT_FOUND",
      ]);
    });

    it("the module space is the space that the script is bound to", async () => {
      const source = `
        import space, { name, run, getField } from "space";
        console.log(name, space.name, space.id.slice(0, 4), space.is_running());
        console.log(run("echo", ["in", space.name]).trim(), getField("region"));
        console.log(space.exec("exit 4").exit_code, space.set_description("bound"));
        console.log(space.get_description(), space.run_script("ts-script").trim());
        space.set_description("");
      `;
      expect(await cli.lines(source, { flags: ["--space", "dev"] })).toEqual([
        "dev dev spc_ true",
        "in dev eu",
        "4 true",
        "bound ts dev { count: 0 }",
      ]);
      const unbound = await cli.lines(`
        import space, { name } from "space";
        console.log(name);
        try { space.run("true"); } catch (e) { console.log(e.code); }
      `);
      expect(unbound).toEqual(["undefined", "SPACE_NOT_FOUND"]);
      const wrong = await cli.script(source, { flags: ["--space", "nope"] });
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toContain("[SPACE_NOT_FOUND]");
    });

    it("the complete example of the reference runs as it stands", async () => {
      const lines = await cli.lines(`
        import spaces from "spaces";
        import { sleep } from "runtime";

        // Create a new development space
        const space_id = spaces.create("test-space", "my-template", {
          description: "Test environment",
          shell: "bash",
        });
        console.log(\`Created space: \${space_id}\`);

        // Set custom fields
        spaces.set_field("test-space", "environment", "testing");
        spaces.set_field("test-space", "api_key", "sk-test-key");

        // Start the space
        spaces.start("test-space");
        console.log("Space started");

        // Wait for it to be running
        while (!spaces.is_running("test-space")) {
          console.log("Waiting for space to start...");
          sleep(2);
        }

        console.log("Space is now running");

        // Get custom field values
        const env = spaces.get_field("test-space", "environment");
        const api_key = spaces.get_field("test-space", "api_key");
        console.log(\`Environment: \${env}\`);
        console.log(\`API Key: \${api_key}\`);

        // Update description
        spaces.set_description("test-space", "Updated test environment");

        // Stop the space when done
        spaces.stop("test-space");
        console.log("Space stopped");

        // Clean up
        spaces.delete("test-space");
        console.log("Space deleted");
      `);
      expect(lines).toEqual([
        expect.stringMatching(/^Created space: spc_[0-9a-v]{20}$/),
        "Space started",
        "Space is now running",
        "Environment: testing",
        "API Key: sk-test-key",
        "Space stopped",
        "Space deleted",
      ]);
    });

    it("an uncaught error of the module ends the script with its code and its line", async () => {
      const result = await cli.script('import spaces from "spaces";\n\nspaces.start("nope");\n');
      expect(result).toMatchObject({ code: 1, stdout: "" });
      expect(result.stderr).toMatch(
        /script\.ts:3:13: .*There is no space "nope"\. \[SPACE_NOT_FOUND]/,
      );
    });
  });
});
