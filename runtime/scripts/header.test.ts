import { describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { readHeader } from "./header.js";
import { parseInputs } from "./header-yaml.js";

const script = (yaml: string): string => `/*---\n${yaml}\n---*/\nconsole.log(1);\n`;
const read = (yaml: string) => readHeader("backup.ts", script(yaml));

/** The message of the error that a header is refused with. */
async function refusal(reading: Promise<unknown>): Promise<string> {
  const error = await reading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!SpacesError.isInstance(error)) throw new Error(`It was not refused: ${String(error)}`);
  expect(error.code).toBe("INVALID_INPUT");
  expect(error.message).toContain(`backup.ts:${error.details.line}:${error.details.column}:`);
  return error.message;
}

describe("the header of a script", () => {
  it("gives what the script says about itself", async () => {
    const header = await read(`
description: Back up spaces
kind: script
tool: true
inputs:
  keep: {type: integer, default: 3, minimum: 1, description: How many to keep}
  to: {type: string, required: true}
  only: {type: array, items: {type: string}}
`);
    expect(header).toEqual({
      description: "Back up spaces",
      kind: "script",
      tool: true,
      inputs: {
        type: "object",
        properties: {
          keep: { type: "integer", default: 3, minimum: 1, description: "How many to keep" },
          to: { type: "string" },
          only: { type: "array", items: { type: "string" } },
        },
        required: ["to"],
      },
    });
  });

  it("may stand behind a shebang, a byte order mark and blank lines, with any line breaks", async () => {
    const found = { description: "yes" };
    for (const before of ["", "#!/usr/bin/env spaces\n", "\uFEFF", "\n  \n", "\uFEFF#!/x\n\n"]) {
      const source = `${before}/*---\ndescription: yes\n---*/\n1`;
      expect(await readHeader("s.ts", source)).toEqual(found);
      expect(await readHeader("s.ts", source.replaceAll("\n", "\r\n"))).toEqual(found);
    }
    expect(await readHeader("s.ts", "/*---\n---*/")).toEqual({});
  });

  it("is no other comment, and no comment further down", async () => {
    for (const source of [
      "1",
      "/* description: no */",
      "/*------\ndescription: no\n------*/",
      "/*--- no ---*/",
      "1;\n/*---\ndescription: no\n---*/",
      "// x\n/*---\ndescription: no\n---*/",
    ]) {
      expect(await readHeader("s.ts", source)).toEqual({});
    }
  });

  it.each([
    ["descripton: x", "2:1: descripton: is not a setting"],
    ["description: [x", "3:1: "],
    ["description: 5", "2:1: description: "],
    ["a: 1\na: 2", "3:1: "],
    ["- a", "2:1: "],
    ["kind: program", "2:1: kind: "],
    ["inputs: 3", "2:1: inputs: must be a map"],
    ["inputs:\n  keep: integer", "3:3: inputs.keep: must be a map"],
    ["inputs:\n  keep: {type: int}", "3:10: inputs.keep.type: must have a type"],
    ["inputs:\n  keep:\n    typ: string", "inputs.keep.type: must have a type"],
    ["inputs:\n  keep:\n    type: string\n    mini: 3", "5:5: inputs.keep.mini: is not a setting"],
    ["inputs:\n  keep: {type: string, required: yes please}", "inputs.keep.required: must be"],
    ["inputs:\n  Keep: {type: string}", "3:3: inputs.Keep: must begin with a small letter"],
    [
      "inputs:\n  keep: {type: integer, default: 1.5}",
      "inputs.keep.default: must be a whole number",
    ],
    ["inputs:\n  keep: {type: integer, default: 0, minimum: 1}", "inputs.keep.default: must be 1"],
    ["inputs:\n  keep: {type: integer, enum: [1, 2.5]}", "inputs.keep.enum: allows 2.5"],
    [
      "inputs:\n  keep: {type: string, default: c, enum: [a, b]}",
      "inputs.keep.default: must be one",
    ],
    ["inputs:\n  keep: {type: number, minimum: 2, maximum: 1}", "inputs.keep.minimum: must not be"],
    ["inputs:\n  help: {type: boolean}", "3:3: inputs.help: has the flag --help"],
    [
      "inputs:\n  dryRun: {type: boolean}\n  dry_run: {type: string}",
      "4:3: inputs.dry_run: has the flag --dry-run, as dryRun has",
    ],
    [
      "inputs:\n  color: {type: boolean}\n  noColor: {type: string}",
      "4:3: inputs.noColor: has the flag --no-color",
    ],
    [
      "inputs:\n  tags: {type: array, items: {type: integer}, default: [a]}",
      "inputs.tags.default: must be a whole number",
    ],
  ])("is refused at the place of its mistake: %j", async (yaml, message) => {
    expect(await refusal(read(yaml))).toContain(message);
  });

  it("counts lines and columns in the script, also behind a shebang", async () => {
    const source = "#!/usr/bin/env spaces\n\n/*---\ninputs:\n  a: {type: what}\n---*/";
    expect(await refusal(readHeader("backup.ts", source))).toContain("backup.ts:5:7:");
  });

  it("must end, and with what it began with", async () => {
    const ends = "must end with ---*/";
    expect(await refusal(readHeader("backup.ts", "\n/*---\ntool: true\n*/\n1"))).toContain(ends);
    expect(await refusal(readHeader("backup.ts", "/*---\ntool: true"))).toContain("does not end");
  });

  it("says what was meant", async () => {
    await expect(read("descripton: x")).rejects.toMatchObject({
      suggestion: "Did you mean description?",
    });
    await expect(read("inputs:\n  a: {type: string, maxLenght: 3}")).rejects.toMatchObject({
      suggestion: "Did you mean maxLength?",
    });
  });
});

describe("a file with inputs", () => {
  it("has the short form or the full one, in YAML or JSON", () => {
    const full = {
      type: "object",
      properties: { type: { type: "string" } },
      required: ["type"],
    };
    expect(parseInputs("i.yaml", "type: {type: string, required: true}")).toEqual(full);
    expect(parseInputs("i.json", JSON.stringify(full))).toEqual(full);
    expect(() => parseInputs("i.json", '{"type": "object", "required": ["x"]}')).toThrow(
      "i.json:1:20: required: must not require an input that it does not have",
    );
  });
});
