/** The modules as scripts meet them: imported inside of the sandbox. */
import { afterAll, describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { createInterpreter } from "./interpreter.js";
import type { ScriptRequest } from "./types.js";

const interpreter = createInterpreter();
afterAll(() => interpreter[Symbol.asyncDispose]());

const host: ScriptRequest["host"] = async (name, input) => {
  const { space } = input as { space?: string };
  if (name === "processes.run") return { exitCode: 0, output: `ran in ${space}\n` };
  return { id: "spc_1", name: "dev", status: "running", isRunning: true, description: "" };
};

/** Runs a script, gives its output; a failure is part of the output. */
async function run(source: string, request: Partial<ScriptRequest> = {}): Promise<string> {
  const result = await interpreter.run({ filename: "script.ts", source, host, ...request });
  return result.output + (result.error ? `${result.error.name}: ${result.error.message}` : "");
}

/** Wraps an expression so that what it throws is printed as code and message. */
const attempt = (expression: string) =>
  `try { console.log(${expression}); } catch (e) { console.log(e.code, e.message, e.suggestion); }`;

describe("spaces", () => {
  it("is imported as a whole, by name, or as a namespace", async () => {
    const output = await run(`
      import spaces, { start, getField, delete as drop } from "spaces";
      import * as all from "spaces";
      import { start as later } from "spaces/async";
      console.log(start("dev"), spaces.start === start, all.start === start);
      console.log(typeof drop, drop === spaces.delete, getField === spaces.get_field);
      console.log(await Promise.all([later("a"), later("b")]));
    `);
    expect(output).toBe("true true true\nfunction true true\n[ true, true ]\n");
  });

  it("names the function that was meant", async () => {
    const output = await run(`import spaces from "spaces"; spaces.strat("dev");`);
    expect(output).toBe("TypeError: spaces.strat is not a function. Did you mean spaces.start?");
  });

  it("gives errors that are instances of Error with their code", async () => {
    const output = await run(
      `import { start } from "spaces";
       try { start(5); } catch (e) { console.log(e instanceof Error, e.name, e.code, e.message); }`,
    );
    expect(output).toBe(
      "true SpacesError INVALID_INPUT start() requires space name as a string, but got the number 5.\n",
    );
  });
});

describe("space", () => {
  it("is the space that the script is bound to", async () => {
    const output = await run(
      `import space, { name, id, run, getDescription } from "space";
       console.log(name, id, space.name, run("ls").trim(), typeof getDescription());`,
      { space: "dev" },
    );
    expect(output).toBe("dev spc_1 dev ran in dev string\n");
  });

  it("says clearly that no space is bound", async () => {
    const output = await run(`import space, { name, run } from "space";
      console.log(name);
      ${attempt('run("ls")')}
      ${attempt("space.name")}`);
    expect(output).toBe(
      `undefined\n${"SPACE_NOT_FOUND This script is bound to no space. Run it with `--space NAME`, or name the space and import `spaces` instead.\n".repeat(2)}`,
    );
  });
});

describe("files", () => {
  const stored = new Map<string, string>();
  const disk: ScriptRequest["host"] = async (name, input) => {
    if (name === "spaces.get") return { id: "spc_1", name: "dev" };
    const { space, path, content, encoding } = input as Record<string, string>;
    if (name === "files.write") {
      stored.set(`${space}:${path}`, encoding === "base64" ? atob(content ?? "") : (content ?? ""));
      return { name: path, path: `/workspace/${path}`, type: "file", size: 1, mode: 420 };
    }
    const found = stored.get(`${space}:${path}`);
    if (found === undefined) throw new SpacesError("FILE_NOT_FOUND", `There is no ${path}.`);
    return { content: encoding === "base64" ? btoa(found) : found };
  };

  it("carries text and bytes, for a named space and for the current one", async () => {
    const output = await run(
      `import files, { readBytes } from "files";
       import { read, write } from "files/async";
       import space, { files as mine } from "space";
       files.write("other", "a", "text");
       mine.write("b", Uint8Array.of(0, 128, 255));
       await Promise.all([write("dev", "c", new Uint8Array(5).buffer), write("dev", "d", "x")]);
       console.log(await read("other", "a"), readBytes("dev", "b"), space.files.read_bytes("c"));
       ${attempt('mine.read("missing")')}
       ${attempt('mine.raed("missing")')}`,
      { space: "dev", host: disk },
    );
    expect(output).toContain(
      "text Uint8Array(3) [ 0, 128, 255 ] Uint8Array(5) [ 0, 0, 0, 0, 0 ]\n",
    );
    expect(output).toContain("\nFILE_NOT_FOUND There is no missing. List the files");
    expect(output).toContain("space.files.raed is not a function. Did you mean space.files.read?");
  });

  it("says that no space is bound, or that content is too large for one call", async () => {
    const output = await run(
      `import { files } from "space";
       import { write } from "files";
       ${attempt('files.read("a")')}
       ${attempt('write("dev", "a", "x".repeat(17 * 1024 * 1024))')}`,
      // Several copies of the content have to fit, or the script only learns that they do not.
      { host: disk, limits: { memoryBytes: 256 * 1024 * 1024 } },
    );
    expect(output).toMatch(/^SPACE_NOT_FOUND This script is bound to no space\./);
    expect(output).toContain("\nLIMIT_EXCEEDED ");
  });
});

describe("runtime", () => {
  it("gives arguments, input and the opened environment", async () => {
    const output = await run(
      `import runtime, { args, env, input } from "runtime";
       console.log(args, input, env.OPEN, "OPEN" in env, "SHUT" in env, runtime.args === args);
       ${attempt("env.SHUT")}`,
      {
        args: ["a", "b"],
        input: { deep: [1] },
        env: { OPEN: "yes", SHUT: "no" },
        permissions: { env: ["OPEN"] },
      },
    );
    expect(output).toContain("[ 'a', 'b' ] { deep: [ 1 ] } yes true false true\n");
    expect(output).toContain("PERMISSION_DENIED");
    expect(output).toContain("--allow-env SHUT");
  });

  it("cannot be changed", async () => {
    const output = await run(
      `import runtime, { args, env } from "runtime";
       for (const change of [() => args.push("x"), () => { env.A = "b"; }, () => { runtime.exit = 1; }]) {
         try { change(); console.log("changed"); } catch (e) { console.log(e.name); }
       }`,
    );
    expect(output).toBe("TypeError\nTypeError\nTypeError\n");
  });

  it("sleeps by blocking or by promise, and checks the time", async () => {
    const output = await run(
      `import { sleep, sleep_async, sleepAsync } from "runtime";
       sleep(0); sleep(0.001); await sleep_async(0.001); await sleepAsync(0);
       ${attempt('sleep("1")')} ${attempt("sleep(-1)")} ${attempt("sleep(NaN)")}`,
    );
    expect(output.match(/INVALID_INPUT sleep\(\) requires time/g)).toHaveLength(3);
  });

  it("ends with an exit code", async () => {
    const source = `import { exit } from "runtime"; try { exit(7); } finally { console.log("no"); }`;
    const result = await interpreter.run({ filename: "script.ts", source, host });
    expect(result).toMatchObject({ exitCode: 7, output: "" });
  });

  it("refuses an exit code that is none", async () => {
    expect(await run(`import { exit } from "runtime"; ${attempt("exit(256)")}`)).toMatch(
      /^INVALID_INPUT/,
    );
  });
});

describe("yaml", () => {
  it("reads and writes", async () => {
    const output = await run(
      `import yaml, { parse, stringify } from "yaml";
       const text = stringify({ list: [1, "two", null], deep: { on: true } });
       console.log(text + JSON.stringify(parse(text)), yaml.parse === parse);`,
    );
    expect(output).toBe(
      'list:\n  - 1\n  - two\n  - null\ndeep:\n  on: true\n{"list":[1,"two",null],"deep":{"on":true}} true\n',
    );
  });

  it("says where a text is wrong", async () => {
    const output = await run(
      `import { parse } from "yaml";
       try { parse("a: 1\\nb: [2"); } catch (e) { console.log(e.code, e.message, e.details); }`,
    );
    expect(output).toMatch(/^INVALID_INPUT yaml.parse\(\): .* at line 2, column \d+\./);
    expect(output).toContain("line: 2");
  });

  it("refuses alias bombs, endless values and several documents", async () => {
    const bomb = ["a: &a [x]"];
    for (const [n, name] of [..."bcdefgh"].entries()) {
      const before = "abcdefgh"[n];
      bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`);
    }
    const output = await run(
      `import { parse } from "yaml";
       for (const text of ${JSON.stringify([bomb.join("\n"), "&a [*a]", "a: 1\n---\nb: 2"])}) {
         try { parse(text); } catch (e) { console.log(e.code, e.message); }
       }`,
    );
    expect(output).toMatch(
      /^LIMIT_EXCEEDED .*aliases.*\nINVALID_INPUT .*no end.*\nINVALID_INPUT .*more than one document.*\n$/,
    );
  });

  it("keeps keys such as __proto__ plain", async () => {
    const output = await run(
      `import { parse } from "yaml";
       const value = parse("__proto__: {polluted: yes}");
       console.log(Object.keys(value), {}.polluted);`,
    );
    expect(output).toBe("[ '__proto__' ] undefined\n");
  });
});
