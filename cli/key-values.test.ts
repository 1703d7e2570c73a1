import { describe, expect, it } from "vitest";
import { allowList, keyValues } from "./key-values.js";

describe("keyValues", () => {
  const add = keyValues("--env");

  it("collects pairs and splits at the first equals sign only", () => {
    expect({ ...add("B=x=y", add("A=")) }).toEqual({ A: "", B: "x=y" });
  });

  it("keeps hostile keys as plain data", () => {
    const map = add("__proto__=polluted");
    expect(Object.keys(map)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(map)).toBeNull();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it.each(["", "A", "=x"])("refuses %j", (text) => {
    expect(() => add(text)).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
  });

  it("refuses the same key twice", () => {
    expect(() => add("A=2", add("A=1"))).toThrow(/"A" twice/);
  });
});

describe("allowList", () => {
  it("allows all without names, and adds up names", () => {
    expect(allowList("", "--allow-net", undefined)).toBe(true);
    expect(allowList("c", "--allow-net", allowList("a, b", "--allow-net", undefined))).toEqual([
      "a",
      "b",
      "c",
    ]);
    expect(allowList("a", "--allow-net", true)).toBe(true);
  });

  it("refuses empty names", () => {
    expect(() => allowList("a,,b", "--allow-net", undefined)).toThrow(/--allow-net/);
  });
});
