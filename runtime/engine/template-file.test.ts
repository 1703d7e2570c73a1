import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { parseMemory, parseTemplates } from "./template-file.js";

function problemOf(source: string): string {
  try {
    parseTemplates(source, "t.yaml");
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code === "TEMPLATE_INVALID") return error.message;
    throw error;
  }
  return "no problem";
}

describe("parseTemplates", () => {
  it("reads several documents and fills in defaults", () => {
    const templates = parseTemplates("name: a\n---\n# second\nname: b\nfields: [{name: x}]\n", "t");
    expect(templates.map(({ spec }) => spec.name)).toEqual(["a", "b"]);
    expect(templates[1]?.spec.fields).toEqual([{ name: "x", description: "", secret: false }]);
    expect(templates[1]?.source).toContain("name: b");
  });

  it.each([
    [
      "a value of the wrong form",
      "name: a\nresources:\n  memory: lots\n",
      "t.yaml:3:11: resources.memory: ",
    ],
    [
      "a setting that does not exist",
      "name: a\nimgae: debian\n",
      "t.yaml:2:8: imgae: is not a setting",
    ],
    [
      "a nested setting that does not exist",
      "name: a\nresources: {ram: 1Gi}\n",
      "t.yaml:2:18: resources.ram: ",
    ],
    ["a name that is none", "name: ../x\n", "t.yaml:1:7: name: must start with"],
    ["a missing name", "description: x\n", "t.yaml:1:1: name: "],
    ["broken YAML", "name: a\nenv: {\n", "t.yaml:3:1: "],
    ["a mistake in the second document", "name: a\n---\nname: B\n", "t.yaml:3:7: name: "],
    [
      "a field twice",
      "name: a\nfields: [{name: x}, {name: x}]\n",
      "t.yaml:2:9: fields: must not define a field twice",
    ],
    ["text that is no map", "just text\n", "t.yaml:1:1: "],
    ["nothing", "", "t.yaml:1:1: The file holds no template."],
    [
      "a bomb of aliases",
      `name: a\nenv: &a [${"x,".repeat(50)}]\nx: [${"*a,".repeat(50)}]\n`,
      "t.yaml:",
    ],
    ["host settings", "name: a\nprivileged: true\n", "t.yaml:2:13: privileged: is not a setting"],
  ])("names the position of %s", (_, source, start) => {
    expect(problemOf(source).slice(0, start.length)).toBe(start);
  });

  it("never fails in another way, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (source) => {
        expect(typeof problemOf(source)).toBe("string");
      }),
    );
  });
});

describe("parseMemory", () => {
  it("knows binary units", () => {
    expect(parseMemory("64Mi")).toBe(67_108_864);
    expect(parseMemory("2Gi")).toBe(2_147_483_648);
    expect(parseMemory(undefined)).toBeUndefined();
  });
});
