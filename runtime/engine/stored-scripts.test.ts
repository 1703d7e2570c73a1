import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../test/support/engine-host.js";
import { codeOf } from "../../test/support/error-code.js";
import type { Client } from "../contract/contract.js";
import { scriptInputsSchema } from "../contract/script-inputs.js";

let host: TestHost;
let client: Client;
let script: string;
let counter = 0;
beforeAll(async () => {
  host = await openTestHost();
  client = host.local;
});
afterAll(() => host[Symbol.asyncDispose]());
beforeEach(() => {
  counter += 1;
  script = `s${counter}`;
});

const save = (source: string, more: object = {}) =>
  client.scripts.save({ script, source, ...more });
const versions = async () =>
  (await client.scripts.history({ script })).items.map(({ version }) => version);

describe("the versions of a script", () => {
  it("count each change of it, and no saving that changes nothing", async () => {
    const first = await save("1");
    expect(first).toMatchObject({ version: 1, createdAt: first.updatedAt });
    expect(await save("1")).toEqual(first);
    expect(await save("2")).toMatchObject({ version: 2, createdAt: first.createdAt });
    expect(await save("2", { description: "two" })).toMatchObject({ version: 3 });
    expect(await save("2", { kind: "lib" })).toMatchObject({ version: 4 });
    expect(await save("2", { kind: "script", tool: true })).toMatchObject({ version: 5 });
    expect(await save("2", { language: "javascript" })).toMatchObject({ version: 6 });
    expect(await versions()).toEqual([6, 5, 4, 3, 2, 1]);
    expect(await client.scripts.get({ script, version: 1 })).toEqual(first);
    expect(await codeOf(client.scripts.get({ script, version: 7 }))).toBe("SCRIPT_NOT_FOUND");
  });

  it("tell who saved them, and how many bytes they have", async () => {
    await save("1");
    await save('"ü"', { description: "later" });
    const { items } = await client.scripts.history({ script });
    expect(items).toMatchObject([
      { version: 2, size: 4, createdBy: host.actor.id, description: "later", isCurrent: true },
      { version: 1, size: 1, createdBy: host.actor.id, description: "", isCurrent: false },
    ]);
    expect(items[0]).not.toHaveProperty("source");
  });

  it("are taken back by saving an earlier one once more", async () => {
    await save("1", { description: "one" });
    await save("2", { description: "two", tool: true });
    await save("3", { kind: "lib", tool: false });
    expect(await client.scripts.rollback({ script })).toMatchObject({
      ...{ version: 4, source: "2", description: "two", kind: "script", tool: true },
    });
    expect(await client.scripts.rollback({ script, version: 1 })).toMatchObject({
      ...{ version: 5, source: "1", description: "one", tool: false },
    });
    expect(await client.scripts.rollback({ script, version: 5 })).toMatchObject({ version: 5 });
    expect(await codeOf(client.scripts.rollback({ script, version: 9 }))).toBe("SCRIPT_NOT_FOUND");
    expect(await versions()).toEqual([5, 4, 3, 2, 1]);
  });

  it("cannot be taken back where there is one only, or none", async () => {
    expect(await codeOf(client.scripts.rollback({ script }))).toBe("SCRIPT_NOT_FOUND");
    await save("1");
    await expect(client.scripts.rollback({ script })).rejects.toMatchObject({
      code: "SCRIPT_NOT_FOUND",
      message: expect.stringContaining("one version only"),
    });
  });

  it("go with the script, and begin anew with the next of its name", async () => {
    await save("1");
    await save("2");
    await client.scripts.delete({ script });
    expect(await codeOf(client.scripts.history({ script }))).toBe("SCRIPT_NOT_FOUND");
    expect(await save("3")).toMatchObject({ version: 1 });
    expect(await codeOf(client.scripts.get({ script, version: 2 }))).toBe("SCRIPT_NOT_FOUND");
  });

  it("are made one after the other, whoever saves at once", async () => {
    const { host: other } = { host: await host.openAnother() };
    const there = other.clientFor({ actor: host.actor, depth: 0, local: true });
    const savings = Array.from({ length: 40 }, (_, n) =>
      (n % 2 ? client : there).scripts.save({ script, source: `${n}` }),
    );
    const saved = await Promise.all(savings);
    const numbers = saved.map(({ version }) => version).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    for (const { version, source } of saved) {
      expect((await there.scripts.get({ script, version })).source).toBe(source);
    }
  });

  it("are saved only while another is the newest, where that is asked", async () => {
    expect(await codeOf(save("1", { ifVersion: 1 }))).toBe("CONFLICT");
    await save("1", { ifVersion: 0 });
    expect(await codeOf(save("2", { ifVersion: 0 }))).toBe("CONFLICT");
    const both = await Promise.all(
      ["2", "3"].map((source) => codeOf(save(source, { ifVersion: 1 }))),
    );
    expect(both.sort()).toEqual(["CONFLICT", "none"]);
  });
});

describe("what is saved of a script", () => {
  const header = (yaml: string, source = "1") => `/*---\n${yaml}\n---*/\n${source}`;
  const full = "description: from the header\ntool: true\ninputs: {keep: {type: integer}}";
  const inputs = scriptInputsSchema.parse({ properties: { keep: { type: "integer" } } });
  const other = scriptInputsSchema.parse({ properties: { to: { type: "string" } } });

  it("stands in its header, unless it is given beside the source", async () => {
    expect(await save(header(full))).toMatchObject({
      ...{ description: "from the header", tool: true, inputs },
    });
    expect(
      await save(header(full), { description: "given", tool: false, inputs: other }),
    ).toMatchObject({ description: "given", tool: false, inputs: other });
    expect(await save(header(full, "2"))).toMatchObject({
      ...{ description: "from the header", tool: true, inputs },
    });
  });

  it("stays where it was given, and goes with the header where it stood there", async () => {
    await save(header(full));
    expect(await save("1")).toMatchObject({ description: "", tool: false });
    expect(await client.scripts.get({ script })).not.toHaveProperty("inputs");
    await save("2", { description: "given", tool: true, inputs });
    expect(await save("3")).toMatchObject({ description: "given", tool: true, inputs });
    expect(await save(header("tool: false"))).toMatchObject({ description: "given", tool: false });
  });

  it("is refused with the place of a mistake in the header, and nothing is saved", async () => {
    await expect(save(header("tool: maybe"))).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining(`${script}:2:1: tool:`),
      details: { line: 2, column: 1 },
    });
    expect(await codeOf(client.scripts.get({ script }))).toBe("SCRIPT_NOT_FOUND");
  });

  it("does not contradict itself", async () => {
    for (const more of [
      { kind: "lib", tool: true },
      { kind: "lib", inputs },
      { language: "native" },
    ]) {
      expect(await codeOf(save("1", more)), JSON.stringify(more)).toBe("INVALID_INPUT");
    }
    expect(await codeOf(save("#!/bin/sh\n", { kind: "lib" }))).toBe("INVALID_INPUT");
    await save("1", { tool: true, inputs });
    expect(await save("1", { kind: "lib" })).toMatchObject({ kind: "lib", tool: false });
  });

  it("is text that the interpreter takes", async () => {
    for (const source of ["", " \n", "a\0b", "a\ud800b", `// ${"ü".repeat(600_000)}`]) {
      expect(await codeOf(save(source))).toBe("INVALID_INPUT");
    }
  });

  it("is told as native by its shebang, but for the runtime's own", async () => {
    expect((await save("#!/bin/sh\n")).language).toBe("native");
    expect((await save("#!/usr/bin/env spaces\n1")).language).toBe("typescript");
  });
});

describe("global scripts", () => {
  let ann: Client;
  let bob: Client;
  beforeAll(async () => {
    const permissions = ["ManageScripts", "ExecuteScripts", "UseSpaces"] as const;
    ann = await host.as(await host.addUser("ann", permissions));
    bob = await host.as(await host.addUser("bob", permissions));
  });

  it("are everybody's to run, and changed by who may manage them alone", async () => {
    await save('console.log("global")', { global: true });
    expect((await ann.scripts.run({ script })).output).toBe("global\n");
    for (const call of [
      ann.scripts.save({ script, source: "1", global: true }),
      ann.scripts.rollback({ script, global: true }),
      ann.scripts.delete({ script, global: true }),
    ]) {
      expect(await codeOf(call)).toBe("PERMISSION_DENIED");
    }
    for (const call of [ann.scripts.rollback({ script }), ann.scripts.delete({ script })]) {
      await expect(call).rejects.toMatchObject({
        code: "SCRIPT_NOT_FOUND",
        suggestion: expect.stringContaining("--global"),
      });
    }
    expect(await client.scripts.get({ script })).toMatchObject({ global: true, version: 1 });
  });

  it("stand behind one's own of the same name, and are told as shadowed", async () => {
    await save('console.log("global")', { global: true });
    await ann.scripts.save({ script, source: 'console.log("ann")' });
    expect((await ann.scripts.run({ script })).output).toBe("ann\n");
    expect((await bob.scripts.run({ script })).output).toBe("global\n");
    expect(await ann.scripts.get({ script })).toMatchObject({ global: false });
    expect(await ann.scripts.get({ script, global: true })).toMatchObject({ global: true });
    const listed = async (user: Client) =>
      (await user.scripts.list({})).items
        .filter(({ name }) => name === script)
        .map(({ global, shadowed }) => ({ global, shadowed }));
    expect(await listed(ann)).toEqual([
      { global: false, shadowed: false },
      { global: true, shadowed: true },
    ]);
    expect(await listed(bob)).toEqual([{ global: true, shadowed: false }]);
    await ann.scripts.delete({ script });
    expect((await ann.scripts.run({ script })).output).toBe("global\n");
  });

  it("have versions of their own", async () => {
    await save('console.log("one")', { global: true });
    await save('console.log("two")', { global: true });
    await ann.scripts.save({ script, source: 'console.log("ann")' });
    expect(await codeOf(ann.scripts.get({ script, version: 2 }))).toBe("SCRIPT_NOT_FOUND");
    expect((await bob.scripts.run({ script, version: 1 })).output).toBe("one\n");
    await client.scripts.rollback({ script, global: true });
    expect((await bob.scripts.run({ script })).output).toBe("one\n");
    expect((await client.scripts.history({ script, global: true })).items).toHaveLength(3);
  });
});
