/** Patterns of paths: what they match, and that none of them takes long. */
import fc from "fast-check";
import picomatch from "picomatch";
import { describe, expect, it } from "vitest";
import { globMatcher } from "./glob.js";

describe("a pattern", () => {
  it.each([
    ["*.ts", ["a.ts", ".ts"], ["a.ts"]],
    ["*.ts", ["a/b.ts", "a.tsx"], []],
    ["**/*.ts", ["a.ts", "a/b.ts", "a/b/c.ts", ".a/b.ts"], ["a.ts", "a/b.ts", "a/b/c.ts"]],
    ["src/**", ["src", "src/a", "src/a/b", "srcs/a"], ["src", "src/a", "src/a/b"]],
    ["a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a/x/.y/b"], ["a/b", "a/x/b", "a/x/y/b"]],
    ["?.txt", ["a.txt", "ab.txt", "ü.txt", "😀.txt"], ["a.txt", "ü.txt", "😀.txt"]],
    ["[a-c]x", ["ax", "dx", "-x"], ["ax"]],
    ["[!a-c]x", ["ax", "dx"], ["dx"]],
    ["[]]", ["]"], ["]"]],
    ["a[", ["a["], ["a["]],
    ["{a,b{1,2}}.js", ["a.js", "b1.js", "b2.js", "b.js"], ["a.js", "b1.js", "b2.js"]],
    ["{a}", ["{a}", "a"], ["{a}"]],
    ["\\*", ["*", "a"], ["*"]],
    [".*", [".a", "a"], [".a"]],
    ["./a", ["a"], ["a"]],
    ["*a*b*c", ["xaybzc", "abc", "acb"], ["xaybzc", "abc"]],
  ])("%s matches what it means", (pattern, paths, expected) => {
    expect(paths.filter(globMatcher(pattern))).toEqual(expected);
  });

  it("agrees with what others take it for", () => {
    const part = fc.constantFrom("a", "b", "*", "?", "[ab]", "**", "/", "{a,b}");
    const pattern = fc
      .array(part, { minLength: 1, maxLength: 6 })
      .map((parts) => parts.join(""))
      // There tools differ: two stars that are not a whole name or not the first, and empty names.
      .filter((text) => !/\*{2}[^/]|[^/]\*{2}|\*{3}|\/\/|^\/|\/$|\/\*\*/.test(text));
    const path = fc.array(fc.constantFrom("a", "b", "ab", "ba", "aab"), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(pattern, path, (text, names) => {
        const joined = names.join("/");
        expect(globMatcher(text)(joined)).toBe(picomatch.isMatch(joined, text));
      }),
      { numRuns: 2000 },
    );
  });

  it("never takes long, however it is made", () => {
    const name = "a".repeat(255);
    const path = Array.from({ length: 16 }, () => name).join("/");
    for (const pattern of [
      `${"*a".repeat(500)}b`,
      `${"**/a*/".repeat(150)}b`,
      `${"*?".repeat(500)}[b]`,
    ]) {
      expect(globMatcher(pattern)(path)).toBe(false);
    }
  });

  it("is refused with too many alternatives", () => {
    expect(() => globMatcher("{a,b}".repeat(9))).toThrow(/256 alternatives/);
    expect(() => globMatcher("{a,b}".repeat(200))).toThrow(/256 alternatives/);
    expect(globMatcher("{".repeat(1024))("{".repeat(1024))).toBe(true);
  });
});
