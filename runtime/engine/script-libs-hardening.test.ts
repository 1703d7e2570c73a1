/** Libs of stored scripts, where somebody means ill with them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../test/support/engine-host.js";
import type { Client } from "../contract/contract.js";

let host: TestHost;
let admin: Client;
let ann: Client;
beforeAll(async () => {
  host = await openTestHost();
  admin = host.local;
  ann = await host.as(await host.addUser("ann", ["ManageScripts", "ExecuteScripts", "UseSpaces"]));
});
afterAll(() => host[Symbol.asyncDispose]());

const lib = (client: Client, script: string, source: string, global = false) =>
  client.scripts.save({ script, source, kind: "lib", global });
const output = async (client: Client, script: string) =>
  (await client.scripts.run({ script })).output;

describe("a global script", () => {
  it("gets global libs alone, also through libs, whatever its starter has of these names", async () => {
    await lib(admin, "base", 'export const who = "global";', true);
    await lib(admin, "util", 'export { who } from "./base.ts";', true);
    await admin.scripts.save({
      script: "report",
      source: `import { who } from "./util.ts";
        import * as direct from "./base.ts";
        console.log(who, direct.who, (await import("./base")).who);`,
      global: true,
    });
    await lib(ann, "base", 'export const who = "ann";');
    await lib(ann, "util", 'export const who = "ann";');
    expect(await output(ann, "report")).toBe("global global global\n");
  });

  it("does not find a lib that only its starter has", async () => {
    await lib(ann, "only-ann", "export default 1;");
    await admin.scripts.save({
      script: "reaches",
      source: `for (const path of ["./only-ann.ts", "./global/only-ann.ts"]) {
        await import(path).then(() => console.log("got it"), (e) => console.log(e.message.slice(0, 40)));
      }`,
      global: true,
    });
    const printed = await output(ann, "reaches");
    expect(printed).not.toContain("got it");
    expect(printed).toContain("Cannot find module './only-ann.ts'");
  });
});

describe("a script of one's own", () => {
  it("gets libs of its owner before global ones, and a global lib what it was written for", async () => {
    await lib(admin, "shared", 'export const who = "global";', true);
    await lib(admin, "uses-shared", 'export { who } from "./shared.ts";', true);
    await lib(ann, "shared", 'export const who = "ann";');
    await ann.scripts.save({
      script: "mine",
      source: `import { who } from "./shared.ts";
        import { who as other } from "./uses-shared.ts";
        import { who as global } from "./global/shared.ts";
        console.log(who, other, global);`,
    });
    expect(await output(ann, "mine")).toBe("ann global global\n");
  });

  it("finds no lib of another user", async () => {
    const bob = await host.as(await host.addUser("bob", ["ManageScripts", "ExecuteScripts"]));
    await lib(bob, "secret-lib", 'export default "bob\'s";');
    await ann.scripts.save({
      script: "peeks",
      source: 'import x from "./secret-lib"; console.log(x)',
    });
    const { error } = await ann.scripts.run({ script: "peeks" });
    expect(error?.message).toContain("Cannot find module './secret-lib'");
  });

  it("may have libs that import each other in a circle, as modules do", async () => {
    await lib(
      ann,
      "even",
      'import { odd } from "./odd.ts"; export const even = (n: number): boolean => n === 0 || odd(n - 1);',
    );
    await lib(
      ann,
      "odd",
      'import { even } from "./even.js"; export const odd = (n: number): boolean => n !== 0 && even(n - 1);',
    );
    await ann.scripts.save({
      script: "circle",
      source: 'import { even } from "./even"; console.log(even(10), even(7));',
    });
    expect(await output(ann, "circle")).toBe("true false\n");
    await lib(ann, "self", 'import { x as own } from "./self"; export const x = 1, f = () => own;');
    await ann.scripts.save({
      script: "selfish",
      source: 'import { f } from "./self.ts"; console.log(f());',
    });
    expect(await output(ann, "selfish")).toBe("1\n");
    await ann.scripts.save({
      script: "ouroboros",
      source: 'import "./ouroboros.ts"; console.log(1);',
    });
    expect(await output(ann, "ouroboros")).toBe("1\n");
  });

  it("cannot import without end", async () => {
    await ann.scripts.save({
      script: "greedy",
      source: `let failed = 0;
        for (let n = 0; n < 5000; n++) await import("./none-" + n).catch(() => { failed += 1; });
        console.log(failed);`,
    });
    expect(await output(ann, "greedy")).toBe("5000\n");
  });

  it("names the line of a lib that fails", async () => {
    await lib(ann, "thrower", "export const f = (): never => {\n  throw new Error('inside');\n};");
    await ann.scripts.save({ script: "falls", source: 'import { f } from "./thrower";\nf();' });
    const { error } = await ann.scripts.run({ script: "falls" });
    expect(error?.details).toMatchObject({ position: { file: "thrower.ts", line: 2 } });
    await lib(ann, "broken", "export const x: = 1;");
    await ann.scripts.save({
      script: "breaks",
      source: `for (let n = 0; n < 2; n++) await import("./broken").catch((e) => console.log(e.message));`,
    });
    const [first, second] = (await output(ann, "breaks")).split("\n");
    expect(first).toContain("broken.ts:1:");
    expect(second).toBe(first);
  });
});
