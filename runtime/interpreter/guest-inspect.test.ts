/** How the console shows values: the guest's inspection, run in Node beside Node's own. */
import * as util from "node:util";
import { describe, expect, it } from "vitest";
import { inspect } from "../../stdlib/prelude/inspect.js";

class Plain {
  a = 1;
}
const refuseToRun = () => {
  throw new Error("An accessor was run.");
};
class Derived extends Plain {
  get never() {
    return refuseToRun();
  }
}
const circular: Record<string, unknown> = { n: 1 };
circular.self = circular;
circular.list = [circular, { circular }];

describe("what Node shows, shown the same way", () => {
  it.each([
    [{ a: 1, b: { c: { d: { e: 1 } } } }],
    [{ a: { b: { c: {} } }, d: { e: { f: [] } } }],
    [[1, "two", null, undefined, -0, 1n]],
    [[Number.NaN, true, Symbol("s")]],
    [
      new Map<unknown, unknown>([
        ["a", { x: 1 }],
        [{ k: 1 }, 2],
      ]),
    ],
    [new Set([1, "a"])],
    [new (class Registry extends Map<unknown, unknown> {})([[1, 2]])],
    [new Date(0)],
    [new Date(Number.NaN)],
    [/a\/b/gi],
    [new Plain()],
    [new Derived()],
    [Plain],
    [Derived],
    [() => 1],
    [
      function named() {
        return 1;
      },
    ],
    [async () => 1],
    [Object.assign(() => 1, { p: 1 })],
    [circular],
    [{ [Symbol("s")]: 1, "a-b": 2, _x: 3, 1: 2 }],
    ["it's"],
    ['it\'s "quoted"'],
    ["line\nbreak"],
    // biome-ignore lint/suspicious/noSparseArray: holes are what is shown
    [[, , 1, ,]],
    [Object.assign([1, 2], { extra: 1 })],
    [Object.create(null)],
    [Object.assign(Object.create(null), { a: 1 })],
    [new Uint8Array(3)],
    [new Number(3)],
    [new String("hi")],
    [
      {
        get a() {
          return 1;
        },
        set a(_) {
          refuseToRun();
        },
        get b() {
          return 1;
        },
        set c(_: number) {
          refuseToRun();
        },
      },
    ],
    [{ a: "x".repeat(80), b: "y" }],
    [new Map()],
    [[]],
    [{}],
    [{ name: "dev", id: "spc_1", is_running: true, description: "A space", status: "running" }],
    [
      [
        { name: "a", ok: true },
        { name: "b", ok: false },
      ],
    ],
  ])("%#", (value) => {
    expect(inspect(value)).toBe(util.inspect(value));
  });
});

it("cuts long arrays and long strings", () => {
  expect(inspect(Array.from({ length: 250 }, () => 0))).toContain("... 150 more items");
  expect(inspect("x".repeat(20_000))).toContain("... 10000 more characters");
});

it("shows an error with its stack, cause and own properties", () => {
  const error = Object.assign(new Error("bad", { cause: new TypeError("why") }), { code: "X" });
  const text = inspect(error);
  expect(text).toMatch(/^Error: bad\n +at /);
  expect(text).toContain("[cause]: TypeError: why");
  expect(text).toContain("code: 'X'");
});

it("puts the title before a stack that lacks it, and leaves library frames out", () => {
  const error = new RangeError("far");
  error.stack = "    at run (spaces:spaces:1:1)\n    at <anonymous> (script.ts:2:3)\n";
  expect(inspect(error)).toBe("RangeError: far\n    at <anonymous> (script.ts:2:3)");
});

describe("hostile objects", () => {
  const refuse = () => {
    throw new Error("trapped");
  };

  it.each([
    ["ownKeys", new Proxy({}, { ownKeys: refuse })],
    ["getPrototypeOf", new Proxy({}, { getPrototypeOf: refuse })],
    ["getOwnPropertyDescriptor", new Proxy({ a: 1 }, { getOwnPropertyDescriptor: refuse })],
    ["custom inspection", { [Symbol.for("nodejs.util.inspect.custom")]: refuse }],
  ])("survives a failing %s", (_, value) => {
    expect(inspect([value, 1])).toBe("[ [Unprintable], 1 ]");
  });

  it("survives a revoked proxy", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(inspect({ proxy })).toBe("{ proxy: [Unprintable] }");
  });

  it("survives a proxy that is its own prototype for ever", () => {
    const endless: object = new Proxy({}, { getPrototypeOf: () => endless });
    expect(typeof inspect(endless)).toBe("string");
  });

  it("bounds what a huge object costs", () => {
    const wide = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, n]));
    const huge = Object.fromEntries(
      Array.from({ length: 300 }, (_, n) => [`k${n}`, { ...wide, inner: wide }]),
    );
    expect(inspect(huge).length).toBeLessThan(1_000_000);
  });
});
