import { describe, expect, it } from "vitest";
import { scriptInputsSchema } from "../runtime/contract/script-inputs.js";
import { parseScriptArguments, scriptHelp } from "./script-flags.js";
import { typedInput } from "./script-input.js";

const inputs = scriptInputsSchema.parse({
  properties: {
    keep: { type: "integer", default: 3, description: "How many to keep" },
    dryRun: { type: "boolean" },
    to_dir: { type: "string" },
    tags: { type: "array", items: { type: "string" } },
    parts: { type: "array", items: { type: "number" } },
    flags: { type: "array", items: { type: "boolean" } },
    mode: { type: "string", enum: ["fast", "slow"], description: "How fast" },
  },
  required: ["to_dir"],
});
const parse = (...args: string[]) => {
  const { values, ...rest } = parseScriptArguments(inputs, args);
  return { values: Object.fromEntries(values), ...rest };
};

describe("the flags of a script", () => {
  it("have the names of its inputs in kebab-case, and give values of their types", () => {
    expect(parse("a", "--keep", "5", "--dry-run", "--to-dir=/x=y", "b")).toEqual({
      values: { keep: 5, dryRun: true, to_dir: "/x=y" },
      rest: ["a", "b"],
      help: false,
    });
    expect(parse("--no-dry-run", "--keep=-2").values).toEqual({ dryRun: false, keep: -2 });
    expect(parse("--keep", "-2", "--parts", "-.5", "--parts=1e3").values).toEqual({
      keep: -2,
      parts: [-0.5, 1000],
    });
    expect(parse("--tags", "a", "--tags=b", "--flags", "true", "--flags=false").values).toEqual({
      tags: ["a", "b"],
      flags: [true, false],
    });
    expect(parse("--to-dir=", "--tags", "-").values).toEqual({ to_dir: "", tags: ["-"] });
  });

  it("end at --, behind which everything is an argument", () => {
    expect(parse("--keep", "1", "--", "--keep", "--help")).toEqual({
      values: { keep: 1 },
      rest: ["--keep", "--help"],
      help: false,
    });
    expect(parse("--help").help).toBe(true);
    expect(parse("-h").help).toBe(true);
  });

  it.each([
    [["--kepe", "1"], "no flag --kepe", "Did you mean --keep?"],
    [["--dryRun"], "no flag --dryRun", "Did you mean --dry-run?"],
    [["--no-keep"], "no flag --no-keep", undefined],
    [["--__proto__", "1"], "no flag --__proto__", undefined],
    [["--constructor=1"], "no flag --constructor", undefined],
    [["-k", "1"], "no flag -k", undefined],
    [["--keep"], "--keep needs a value", undefined],
    [["--keep", "three"], '--keep cannot be "three"', undefined],
    [["--keep", "0x10"], '--keep cannot be "0x10"', undefined],
    [["--keep="], '--keep cannot be ""', undefined],
    [["--keep", "1", "--keep", "1"], "--keep is given twice", undefined],
    [["--dry-run", "--no-dry-run"], "--no-dry-run is given twice", undefined],
    [["--dry-run=true"], "--dry-run takes no value", "Give --dry-run or --no-dry-run."],
    [
      ["--to-dir", "--dry-run"],
      "looks like a flag",
      "If it is the value, give it as --to-dir=--dry-run.",
    ],
    [["--flags", "yes"], '--flags cannot be "yes"', undefined],
    [["--help=x"], "no flag --help", undefined],
  ])("%j is refused", (args, message, suggestion) => {
    expect(() => parse(...args)).toThrow(
      expect.objectContaining({
        code: "INVALID_INPUT",
        message: expect.stringContaining(message),
        ...(suggestion === undefined ? {} : { suggestion }),
      }),
    );
  });

  it("are explained by the script's help", () => {
    const help = scriptHelp("spaces run b.ts", { description: "Backs up.", inputs });
    expect(help.split("\n").map((line) => line.replace(/ {2,}/g, "  "))).toEqual([
      "Usage: spaces run b.ts -- [flags] [args...]",
      "",
      "Backs up.",
      "",
      "Flags:",
      "  --keep <integer>  How many to keep (default: 3)",
      "  --dry-run, --no-dry-run",
      "  --to-dir <string>  (required)",
      "  --tags <string>...",
      "  --parts <number>...",
      "  --flags <boolean>...",
      "  --mode <string>  How fast (one of: fast, slow)",
      "  -h, --help  print this help",
      "",
    ]);
  });
});

describe("the input of a script on the command line", () => {
  const script = { name: "b.ts", description: "", inputs, call: "spaces run b.ts" };

  it("is put together from flags and --input, and checked", () => {
    expect(typedInput(script, ["--to-dir", "x", "y"], { dryRun: true })).toEqual({
      args: ["y"],
      input: { keep: 3, dryRun: true, to_dir: "x" },
    });
    expect(() => typedInput(script, [], undefined)).toThrow(
      '"to_dir" of the script "b.ts" is missing',
    );
    expect(() => typedInput(script, ["--to-dir=x", "--mode=odd"], undefined)).toThrow(
      "must be one of",
    );
    expect(() => typedInput(script, ["--to-dir=x"], [])).toThrow("must be an object");
  });

  it("is not given in two places", () => {
    expect(() => typedInput(script, ["--to-dir", "x"], { to_dir: "x" })).toThrow(
      '--input and a flag both give "to_dir"',
    );
  });

  it("is not looked at where help was asked for", () => {
    expect(typedInput(script, ["--help"], undefined)).toEqual({
      help: expect.stringContaining("Usage: spaces run b.ts -- "),
    });
  });
});
