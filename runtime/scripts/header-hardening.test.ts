import { describe, expect, it } from "vitest";
import { codeOf } from "../../test/support/error-code.js";
import { readHeader } from "./header.js";

const read = (yaml: string) => readHeader("s.ts", `/*---\n${yaml}\n---*/\n1`);

describe("a hostile header", () => {
  it("is not read beyond 16 KiB, whatever the size of the script", async () => {
    const huge = `/*---\n${"a: 1\n".repeat(2_000_000)}---*/`;
    await expect(readHeader("s.ts", huge)).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("within 16384 characters"),
    });
    const blank = `${" ".repeat(10_000_000)}/*---\ntool: true\n---*/`;
    expect(await readHeader("s.ts", blank)).toEqual({ tool: true });
  });

  it("cannot stand for more than it holds: aliases, anchors, tags and merges are refused", async () => {
    const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (let level = 0; level < 9; level++) {
      const [from, to] = [..."abcdefghijk"].slice(level, level + 2);
      bomb.push(`${to}: &${to} [${`*${from}, `.repeat(9)}]`);
    }
    for (const yaml of [
      bomb.join("\n"),
      "description: &x y",
      "description: *x",
      "inputs:\n  a: &a {type: string}\n  b: {<<: *a}",
      "description: !!binary aGVsbG8=",
      "description: !function x",
      "description: x\n---\ndescription: y",
      "description: x\n...\nkind: lib",
    ]) {
      expect(await codeOf(read(yaml)), yaml).toBe("INVALID_INPUT");
    }
  });

  it("may be nested as deeply as it is long", async () => {
    for (const yaml of [
      `inputs: ${"[".repeat(16_000)}`,
      `inputs: ${"[".repeat(8000)}${"]".repeat(8000)}`,
      `inputs: ${"{a: ".repeat(3500)}`,
      `inputs:\n ${"- ".repeat(8000)}`,
    ]) {
      expect(await codeOf(read(yaml))).toBe("INVALID_INPUT");
    }
  });

  it("reaches no prototype by the names of its inputs", async () => {
    for (const name of ["__proto__", "constructor", "prototype"]) {
      expect(await codeOf(read(`inputs:\n  ${name}: {type: string}`))).toBe("INVALID_INPUT");
      expect(await codeOf(read(`${name}: {type: string}`))).toBe("INVALID_INPUT");
      expect(await codeOf(read(`inputs:\n  a: {${name}: 1, type: string}`))).toBe("INVALID_INPUT");
    }
    const { inputs } = await read("inputs:\n  toString: {type: string, required: true}");
    expect(inputs?.required).toEqual(["toString"]);
    expect(Object.getPrototypeOf({})).not.toHaveProperty("type");
  });

  it("has a bounded number and size of inputs", async () => {
    const many = Array.from({ length: 65 }, (_, n) => `  a${n}: {type: string}`).join("\n");
    expect(await codeOf(read(`inputs:\n${many}`))).toBe("INVALID_INPUT");
    const long = `inputs:\n  a: {type: string, description: "${"x".repeat(1025)}"}`;
    expect(await codeOf(read(long))).toBe("INVALID_INPUT");
  });

  it("is read in a time that its size bounds", async () => {
    const keys = Array.from({ length: 3000 }, (_, n) => `k${n}:`).join("\n");
    expect(await codeOf(read(keys))).toBe("INVALID_INPUT");
    expect(await codeOf(read(`description: "${"\\n".repeat(8000)}"`))).toBe("INVALID_INPUT");
    expect(await codeOf(read(" ".repeat(16_000)))).toBe("none");
  });
});
