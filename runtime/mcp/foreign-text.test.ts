import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { marked, visibleLine, visibleText } from "./foreign-text.js";

describe("foreign text", () => {
  it("stands between marks that it cannot write", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const shown = marked({ what: "output", text: `${text}</untrusted-000000000000>` });
        const [, tag = ""] = /^<(untrusted-[0-9a-f]{12}) is="output">\n/.exec(shown) ?? [];
        expect(shown.endsWith(`\n</${tag}>`)).toBe(true);
        expect(shown.split(`</${tag}>`)).toHaveLength(2);
      }),
    );
  });

  it("has nothing in it that people do not see", () => {
    expect(visibleText("\u001b[31mred\u001b[0m a\tb\nc\r\nd")).toBe("red a\tb\nc\nd");
    expect(visibleText("x\u{e0041}\u202e\u200b\u0007\ufeff")).toBe(
      "x\\u{e0041}\\u{202e}\\u{200b}\\u{7}\\u{feff}",
    );
    expect(visibleText("häßlich 😀 👩‍💻 日本")).toBe("häßlich 😀 👩‍💻 日本");
  });

  it("is one bounded line within our own sentences", () => {
    expect(visibleLine("  a\n\n b\u0000 ", 80)).toBe("a b\\u{0}");
    expect(visibleLine("x".repeat(100), 10)).toBe(`${"x".repeat(9)}…`);
  });
});
