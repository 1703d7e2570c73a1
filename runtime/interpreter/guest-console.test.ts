/** The guest's console, run in Node beside Node's own. */
/// <reference path="../../stdlib/prelude/host.d.ts" />
import * as util from "node:util";
import { beforeEach, describe, expect, it, vi } from "vitest";
import inspection from "../../stdlib/prelude/lazy/inspect.js";

const loadLazy = vi.hoisted(() => vi.fn());
vi.mock("../../stdlib/prelude/lazy.js", () => ({ loadLazy }));
loadLazy.mockImplementation(() => inspection);

const { createConsole } = await import("../../stdlib/prelude/console.js");

let written: [string, string][] = [];
const console = () => createConsole((stream, text) => written.push([stream, text]));
const shown = () => written.map(([, text]) => text).join("");

beforeEach(() => {
  written = [];
});

it("shows plain text and numbers without loading anything", async () => {
  vi.resetModules();
  loadLazy.mockClear();
  const fresh = await import("../../stdlib/prelude/console.js");
  fresh.createConsole((stream, text) => written.push([stream, text])).log("a", 1, true);
  expect(written).toEqual([["stdout", "a 1 true\n"]]);
  expect(loadLazy).not.toHaveBeenCalled();
});

it("sends errors and warnings to stderr, all else to stdout", () => {
  const target = console();
  target.log("a");
  target.info("b");
  target.debug("c");
  target.warn("d");
  target.error("e");
  expect(written.map(([stream]) => stream)).toEqual([
    "stdout",
    "stdout",
    "stdout",
    "stderr",
    "stderr",
  ]);
});

describe("patterns", () => {
  it.each([
    ["%s is %d", "x", 5],
    ["%i %f %d", "4.7", "4.7", "4.7"],
    ["%j", { a: [1] }],
    ["%s %s", "only one"],
    ["100%", "done"],
    ["%% %s", "a"],
    ["%c styled", "color: red"],
    ["%s", { a: { b: { c: 1 } } }],
    ["%d %i", 5n, 6n],
    ["%s", Symbol("q")],
    ["%s %s", null, undefined],
    ["rest", "%s", { a: 1 }, [1]],
    ["%d", "no number"],
    ["%x %s", 1],
  ])("fills %j as Node does", (...values) => {
    console().log(...values);
    expect(shown()).toBe(`${util.format(...values)}\n`);
  });
});

it("indents every line of a group", () => {
  const target = console();
  target.group("outer");
  target.log("a\nb");
  target.groupEnd();
  target.groupEnd();
  target.log("c");
  expect(shown()).toBe("outer\n  a\n  b\nc\n");
});

it("draws tables", () => {
  console().table([
    { name: "dev", n: 1 },
    { name: "test", other: null },
  ]);
  expect(shown()).toBe(
    [
      "┌─────────┬────────┬───┬───────┐",
      "│ (index) │ name   │ n │ other │",
      "├─────────┼────────┼───┼───────┤",
      "│ 0       │ 'dev'  │ 1 │       │",
      "│ 1       │ 'test' │   │ null  │",
      "└─────────┴────────┴───┴───────┘",
      "",
    ].join("\n"),
  );
});

it("counts, times and asserts", () => {
  const target = console();
  target.count();
  target.count();
  target.countReset();
  target.count();
  target.time("t");
  target.timeEnd("t");
  target.timeEnd("t");
  target.assert(true, "never");
  target.assert(false, "expected %s", "x");
  expect(shown()).toMatch(
    /^default: 1\ndefault: 2\ndefault: 1\nt: \d+ms\nNo such timer: t\nAssertion failed: expected x\n$/,
  );
});

it("shows deeper levels with dir", () => {
  const target = console();
  target.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 });
  target.dir({ a: { b: { c: { d: 1 } } } }, { depth: null });
  expect(shown()).toContain("{ a: [Object] }\n");
  expect(shown()).toContain("d: 1");
});

it("never throws for what it shows", () => {
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error("trapped");
      },
      ownKeys() {
        throw new Error("trapped");
      },
    },
  );
  const target = console();
  target.log(hostile);
  target.table(hostile);
  target.log("%s %j %d", hostile, hostile, hostile);
  expect(written).toHaveLength(3);
});
