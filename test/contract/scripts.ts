/** The contract's stored scripts: what they must do on every binding and driver. Called by the suite. */
import { describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import type { ErrorCode } from "../../runtime/contract/errors.js";

interface ScriptsTraits {
  client(): Client;
  /** Creates a space under a fresh name. */
  make(state: "stopped" | "running"): Promise<string>;
  /** Runs a command line in a space. */
  run(space: string, command: string): Promise<{ stdout: string }>;
  fails(code: ErrorCode, call: Promise<unknown>): Promise<void>;
}

export function scriptsSuite({ client, make, run, fails }: ScriptsTraits): void {
  describe("scripts", () => {
    it("saves, shows, lists and deletes", async () => {
      const saved = await client().scripts.save({ script: "kept", source: "console.log(1)" });
      expect(saved).toMatchObject({ name: "kept", language: "typescript", description: "" });
      const { items } = await client().scripts.list({});
      expect(items.find((script) => script.name === "kept")).not.toHaveProperty("source");
      await client().scripts.delete({ script: "kept" });
      await fails("SCRIPT_NOT_FOUND", client().scripts.get({ script: "kept" }));
      await fails("SCRIPT_NOT_FOUND", client().scripts.run({ script: "kept" }));
      await fails("INVALID_INPUT", client().scripts.save({ script: "empty", source: " \n" }));
    });

    it("runs a script in the sandbox, bound to its space", async () => {
      const space = await make("running");
      await client().scripts.save({
        script: "bound",
        source: `import space from "space"; import { args } from "runtime";
          console.log(space.name, args.join("+"), space.run("echo inside").trim());`,
      });
      const result = await client().scripts.run({ script: "bound", space, args: ["a", "b"] });
      expect(result).toMatchObject({ exitCode: 0, output: `${space} a+b inside\n` });
    });

    it("runs a script with a shebang inside of the space", async () => {
      const space = await make("running");
      await client().scripts.save({
        script: "native",
        source: '#!/bin/sh\necho "native $1 $2"; pwd\nexit 4\n',
      });
      const result = await client().scripts.run({ script: "native", space, args: ["a b", "$x"] });
      expect(result).toMatchObject({ exitCode: 4, error: { code: "SCRIPT_FAILED" } });
      expect(result.output).toBe("native a b $x\n/workspace\n");
      expect((await run(space, "ls -A")).stdout).toBe("");
      await fails("INVALID_INPUT", client().scripts.run({ script: "native" }));
    });

    it("reports what a script died of, with its output so far", async () => {
      await client().scripts.save({ script: "dies", source: "console.log('so far');\nnull.x" });
      const result = await client().scripts.run({ script: "dies" });
      expect(result).toMatchObject({
        exitCode: 1,
        output: expect.stringContaining("so far\n"),
        error: { code: "SCRIPT_FAILED", message: expect.stringContaining("TypeError") },
      });
      await client().scripts.save({ script: "spins", source: "while (true) {}" });
      const spun = await client().scripts.run({ script: "spins", timeoutMs: 300 });
      expect(spun).toMatchObject({ exitCode: 124, error: { code: "SCRIPT_TIMEOUT" } });
    });

    it("ends scripts that run themselves", async () => {
      await client().scripts.save({
        script: "loops",
        source: 'import space from "space"; space.run_script("loops");',
      });
      const space = await make("running");
      const result = await client().scripts.run({ script: "loops", space });
      expect(result.exitCode).toBe(1);
      expect(JSON.stringify(result)).toContain("LIMIT_EXCEEDED");
    });

    it("keeps versions, and takes changes back", async () => {
      const script = "versioned";
      const save = (source: string, more: object = {}) =>
        client().scripts.save({ script, source, ...more });
      await save("console.log(1)", { ifVersion: 0 });
      await save("console.log(2)", { ifVersion: 1, description: "two" });
      await fails("CONFLICT", save("console.log(3)", { ifVersion: 1 }));
      const { items } = await client().scripts.history({ script });
      expect(items).toMatchObject([
        { version: 2, isCurrent: true, description: "two", size: 14 },
        { version: 1, isCurrent: false, description: "" },
      ]);
      expect(await client().scripts.get({ script, version: 1 })).toMatchObject({ version: 1 });
      expect((await client().scripts.run({ script, version: 1 })).output).toBe("1\n");
      await client().scripts.rollback({ script });
      expect((await client().scripts.run({ script })).output).toBe("1\n");
      await client().scripts.rollback({ script, version: 2 });
      expect((await client().scripts.run({ script })).output).toBe("2\n");
      await fails("SCRIPT_NOT_FOUND", client().scripts.get({ script, version: 9 }));
      await fails("SCRIPT_NOT_FOUND", client().scripts.rollback({ script, version: 9 }));
      await fails("SCRIPT_NOT_FOUND", client().scripts.history({ script: "none" }));
      await fails("INVALID_INPUT", client().scripts.get({ script, version: 0 }));
    });

    it("keeps what a header says, and names the place of a mistake in it", async () => {
      const script = "headed";
      const saved = await client().scripts.save({
        script,
        source: `#!/usr/bin/env spaces
/*---
description: Counts
tool: true
inputs:
  to: {type: integer, required: true, minimum: 1}
  step: {type: integer, default: 1}
---*/
import { input } from "runtime";
console.log(JSON.stringify(input));`,
      });
      expect(saved).toMatchObject({
        description: "Counts",
        tool: true,
        kind: "script",
        inputs: {
          type: "object",
          properties: {
            to: { type: "integer", minimum: 1 },
            step: { type: "integer", default: 1 },
          },
          required: ["to"],
        },
      });
      const result = await client().scripts.run({ script, input: { to: 3 } });
      expect(result.output).toBe('{"to":3,"step":1}\n');
      await fails("INVALID_INPUT", client().scripts.run({ script }));
      await fails("INVALID_INPUT", client().scripts.run({ script, input: { to: 0 } }));
      await fails("INVALID_INPUT", client().scripts.run({ script, input: { to: 1, from: 0 } }));
      await fails("INVALID_INPUT", client().runs.start({ script, input: { to: "3" } }));
      await expect(
        client().scripts.save({ script, source: "/*---\ninputs: {a: {type: b}}\n---*/\n" }),
      ).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringContaining("headed:2:14: inputs.a.type: must have a type"),
        details: { line: 2, column: 14 },
      });
    });

    it("refuses inputs that contradict themselves or reach for prototypes", async () => {
      const save = (inputs: unknown) =>
        client().scripts.save({ script: "declares", source: "1", inputs: inputs as undefined });
      for (const inputs of [
        { properties: { a: { type: "integer", default: "x" } } },
        { properties: { a: { type: "string", pattern: "(a+)+$" } } },
        { properties: { a: { $ref: "#" } } },
        { properties: JSON.parse('{"__proto__": {"type": "string"}}') },
        { properties: { help: { type: "boolean" } } },
        { required: ["a"] },
        { type: "array" },
        [],
      ]) {
        await fails("INVALID_INPUT", save(inputs));
      }
      await fails("SCRIPT_NOT_FOUND", client().scripts.get({ script: "declares" }));
    });

    it("gives a native script its input in the environment", async () => {
      const space = await make("running");
      const script = "native-input";
      await client().scripts.save({
        script,
        source: '#!/bin/sh\necho "$SPACES_INPUT"\n',
        inputs: {
          type: "object",
          properties: { keep: { type: "integer", default: 3 }, name: { type: "string" } },
          required: [],
        },
      });
      const { output } = await client().scripts.run({ script, space, input: { name: "a'b" } });
      expect(output).toBe(`{"keep":3,"name":"a'b"}\n`);
      await client().scripts.save({ script: "native-any", source: "#!/bin/sh\ntrue\n" });
      const input = "x".repeat(40_000);
      await fails("INVALID_INPUT", client().scripts.run({ script: "native-any", space, input }));
    });

    it("lets scripts import libs, which import others, and does not run libs", async () => {
      const lib = (script: string, source: string) =>
        client().scripts.save({ script, source, kind: "lib" });
      await lib(
        "lib-base",
        "export let count = 0; export const add = (n: number) => (count += n);",
      );
      await lib(
        "lib-util",
        'export { add } from "./lib-base"; export * as base from "./lib-base.js";',
      );
      await client().scripts.save({
        script: "lib-plain",
        source: "export default 40;",
        kind: "lib",
        language: "javascript",
      });
      await client().scripts.save({
        script: "imports",
        source: `import { add, base } from "./lib-util.ts";
          import plain from "./lib-plain.mjs";
          import { count } from "./lib-base.ts";
          add(plain); add(2);
          console.log(count, base.count, (await import("./lib-base")).count);`,
      });
      const { output } = await client().scripts.run({ script: "imports" });
      expect(output).toBe("42 42 42\n");
      await fails("INVALID_INPUT", client().scripts.run({ script: "lib-base" }));
      await fails("INVALID_INPUT", client().runs.start({ script: "lib-base" }));
      const run = await client().runs.start({ script: "imports" });
      await client().runs.wait({ run: run.id });
      const again = await client().runs.rerun({ run: run.id });
      expect(await client().runs.wait({ run: again.id })).toMatchObject({ status: "succeeded" });
    });

    it("reads the header of a source that is not stored, and gives it libs as well", async () => {
      await client().scripts.save({
        script: "lib-two",
        source: "export const two = 2;",
        kind: "lib",
      });
      const source = `/*---
inputs: {n: {type: integer, default: 20}}
---*/
import { input } from "runtime";
import { two } from "./lib-two.ts";
console.log(two + input.n);`;
      const printed = async (input?: { n: number }) => {
        const { id } = await client().runs.start({ source, ...(input && { input }) });
        await client().runs.wait({ run: id });
        const events = await client().runs.follow({ run: id });
        let text = "";
        for await (const event of events) if (event.type === "stdout") text += event.text;
        return text;
      };
      expect(await printed()).toBe("22\n");
      expect(await printed({ n: 40 })).toBe("42\n");
      await fails("INVALID_INPUT", client().runs.start({ source, input: { m: 1 } }));
      await fails("INVALID_INPUT", client().runs.start({ source: "/*---\nkind: lib\n---*/\n1" }));
      await fails("INVALID_INPUT", client().runs.start({ source: "/*---\nkind: odd\n---*/\n1" }));
    });

    it("tells where an import led to nothing", async () => {
      await client().scripts.save({ script: "no-lib", source: "1" });
      const imported = async (path: string) => {
        await client().scripts.save({ script: "lost", source: `\nimport "${path}";` });
        return await client().scripts.run({ script: "lost" });
      };
      for (const path of ["./missing.ts", "./a/b.ts", "./missing.json", "../lib-util", "./UP.ts"]) {
        const { error } = await imported(path);
        expect(error, path).toMatchObject({
          code: "SCRIPT_FAILED",
          message: expect.stringMatching(/Cannot (find module|import) '/),
          details: { position: { file: "lost.ts", line: 2 } },
        });
      }
      expect((await imported("./no-lib.ts")).error?.message).toContain('"no-lib" is no lib');
    });

    it("keeps global ones beside one's own", async () => {
      const script = "both";
      const save = (source: string, global: boolean) =>
        client().scripts.save({ script, source, global });
      await save("console.log('global')", true);
      await save("console.log('own')", false);
      expect((await client().scripts.run({ script })).output).toBe("own\n");
      const { items } = await client().scripts.list({});
      expect(items.filter(({ name }) => name === script)).toMatchObject([
        { global: false, shadowed: false },
        { global: true, shadowed: true },
      ]);
      expect((await client().scripts.get({ script, global: true })).source).toContain("global");
      await client().scripts.delete({ script });
      await fails("SCRIPT_NOT_FOUND", client().scripts.delete({ script }));
      expect((await client().scripts.run({ script })).output).toBe("global\n");
      await client().scripts.delete({ script, global: true });
      await fails("SCRIPT_NOT_FOUND", client().scripts.get({ script }));
    });
  });
}
