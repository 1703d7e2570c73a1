import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Excerpt } from "./excerpt.js";

const excerptOf = (pieces: readonly string[], budget: number): Excerpt => {
  const excerpt = new Excerpt(budget, "ask again");
  for (const piece of pieces) excerpt.add(piece);
  return excerpt;
};

describe("an excerpt", () => {
  it("is the whole text where that fits, however it came", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (pieces) => {
        const text = pieces.join("");
        const excerpt = excerptOf(pieces, Math.max(2, text.length + (text.length % 2)));
        expect(excerpt.isCut).toBe(false);
        expect(excerpt.toString()).toBe(text);
      }),
    );
  });

  it("is a beginning and an end within the budget, and says how much is left out", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "binary", minLength: 1 }), { minLength: 10 }),
        fc.integer({ min: 2, max: 8 }),
        (pieces, budget) => {
          const text = pieces.join("");
          const excerpt = excerptOf(pieces, budget);
          expect(excerpt.isCut).toBe(true);
          const shown = excerpt.toString();
          const [, left] = /\[… (\d+) characters left out: ask again …\]\n/.exec(shown) ?? [];
          const at = shown.indexOf("[… ");
          const end = shown.slice(shown.indexOf(" …]\n", at) + 4);
          const begin = text.slice(0, text.length - Number(left) - end.length);
          expect(shown.startsWith(begin)).toBe(true);
          expect(text.endsWith(end)).toBe(true);
          expect(begin.length + end.length).toBeLessThanOrEqual(budget);
        },
      ),
    );
  });

  it("is cut between lines where one ends near, and never within a character", () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}\n`);
    expect(excerptOf(lines, 200).toString()).toMatch(
      /^(line \d+\n)+\[… \d+ characters left out: ask again …\]\n(line \d+\n)+$/,
    );
    for (const budget of [10, 11, 12, 13]) {
      expect(excerptOf(["😀".repeat(50)], budget).toString()).not.toMatch(/\p{Surrogate}/u);
    }
  });
});
