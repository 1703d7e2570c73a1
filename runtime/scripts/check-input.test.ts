import { describe, expect, it } from "vitest";
import { type ScriptInputs, scriptInputsSchema } from "../contract/script-inputs.js";
import { checkInput } from "./check-input.js";

const inputs: ScriptInputs = scriptInputsSchema.parse({
  properties: {
    keep: { type: "integer", default: 3, minimum: 1, maximum: 9 },
    ratio: { type: "number" },
    to: { type: "string", minLength: 2, maxLength: 4 },
    mode: { type: "string", enum: ["fast", "slow"] },
    level: { type: "integer", enum: [1, 2] },
    dryRun: { type: "boolean" },
    tags: { type: "array", items: { type: "integer", minimum: 0 }, maxItems: 2 },
    toString: { type: "string" },
  },
  required: ["to"],
});
const check = (input: unknown) => checkInput({ name: "backup", inputs }, input);

describe("the input of a script", () => {
  it("is anything where the script declares none", () => {
    for (const input of [undefined, null, 5, "x", [1], { a: { b: 1 } }]) {
      expect(checkInput({ name: "s" }, input)).toBe(input);
    }
  });

  it("is given its defaults, and left as it is otherwise", () => {
    expect(check({ to: "here" })).toEqual({ keep: 3, to: "here" });
    const whole = {
      ...{ keep: 9, ratio: -0.5, to: "ab", mode: "slow", level: 2, dryRun: false },
      ...{ tags: [0, 7], toString: "own" },
    };
    expect(check(whole)).toEqual(whole);
    const none = scriptInputsSchema.parse({});
    expect(checkInput({ name: "s", inputs: none }, undefined)).toEqual({});
    expect(checkInput({ name: "s", inputs: none }, null)).toEqual({});
  });

  it.each([
    [undefined, 'The input "to" of the script "backup" is missing.'],
    [{}, '"to" of the script "backup" is missing'],
    [[], "must be an object"],
    ["to", "must be an object"],
    [{ to: 5 }, '"to" of the script "backup" must be a text'],
    [{ to: null }, "must be a text"],
    [{ to: "a" }, "must have 2 characters at least"],
    [{ to: "abcde" }, "must have 4 characters at most"],
    [{ to: "ab", keep: "3" }, '"keep" of the script "backup" must be a whole number'],
    [{ to: "ab", keep: 2.5 }, "must be a whole number"],
    [{ to: "ab", keep: 0 }, "must be 1 at least"],
    [{ to: "ab", keep: 10 }, "must be 9 at most"],
    [{ to: "ab", ratio: Number.NaN }, "must be a number"],
    [{ to: "ab", mode: "Fast" }, 'must be one of "fast", "slow"'],
    [{ to: "ab", level: 3 }, "must be one of 1, 2"],
    [{ to: "ab", dryRun: "true" }, "must be true or false"],
    [{ to: "ab", tags: 1 }, "must be a list"],
    [{ to: "ab", tags: [1, 2, 3] }, "must have 2 items at most"],
    [{ to: "ab", tags: [1, -1] }, "has an item 2 that must be 0 at least"],
    [{ to: "ab", tag: [1] }, 'has no input "tag"'],
    [{ to: "ab", constructor: 1 }, 'has no input "constructor"'],
    [JSON.parse('{"to": "ab", "__proto__": {"keep": 1}}'), 'has no input "__proto__"'],
  ])("%j is refused with a reason", (input, message) => {
    expect(() => check(input)).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringContaining(message) }),
    );
  });

  it("names what was meant, or what there is", () => {
    const suggestion = (input: unknown) => {
      try {
        check(input);
      } catch (error) {
        return (error as { suggestion?: string }).suggestion;
      }
      throw new Error("It was taken.");
    };
    expect(suggestion({ to: "ab", keeep: 1 })).toBe('Did you mean "keep"?');
    expect(suggestion({ to: "ab", zzzzzzzzz: 1 })).toMatch(/^It takes keep, ratio, /);
  });
});
