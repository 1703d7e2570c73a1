import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { ApiReference } from "./api-reference.js";

const TYPES = fileURLToPath(new URL("../../stdlib/types/", import.meta.url));
const reference = await ApiReference.load();

/** Every name that the declarations of the modules export. */
const exported = readdirSync(TYPES).flatMap((file) => {
  const text = readFileSync(`${TYPES}${file}`, "utf8");
  const module = /^declare module "([^"]+)"/m.exec(text)?.[1];
  if (module === undefined) return [];
  const names = text.matchAll(/^ {2}export (?:function|const|interface|type) (\w+)/gm);
  return [...new Set([...names].map(([, name]) => `${module}.${name}`))];
});

describe("the reference of the script API", () => {
  it("has every declaration of every module, with its documentation", () => {
    expect(exported.length).toBeGreaterThan(80);
    for (const name of exported) {
      const text = reference.describe(name);
      expect(text, name).toBeDefined();
      expect(text).toMatch(new RegExp(`\\b${name.split(".").at(-1)}\\b`));
    }
    for (const { name } of reference.modules) expect(reference.describe(name)).toMatch(/^\/\/ /);
    expect(reference.describe("globals.fetch")).toContain("declare function fetch(");
  });

  it("shows the types that a function names with it", () => {
    const text = reference.describe("spaces.exec") ?? "";
    expect(text).toContain("interface RunOptions");
    expect(text).toContain("interface CommandResult");
    expect(reference.describe("files.copy")).toContain("interface CopyOptions");
  });

  it.each([
    ["start a stopped space", "spaces.start"],
    ["create new space from template", "spaces.create"],
    ["run shell command with timeout", "spaces.run"],
    ["delete a space", "spaces.remove"],
    ["forwarding ports", "spaces.port_forward"],
    ["secret field value", "spaces.get_field"],
    ["write json file", "files.write_json"],
    ["list directory", "files.list"],
    ["parse yaml", "yaml.parse"],
    ["http request", "globals.fetch"],
    ["wait some seconds", "runtime.sleep"],
    ["idle", "example.stop-idle"],
  ])("finds what %j is about", (query, name) => {
    expect(reference.search(query, 5).map((match) => match.name)).toContain(name);
  });

  it("finds nothing for words that are nowhere, and says so by an empty list", () => {
    for (const query of ["", "zzzzqqq", "the of a", "\u0000", "(((", "\\"]) {
      expect(reference.search(query, 5)).toEqual([]);
    }
    for (const name of ["", "__proto__", "constructor", "spaces.constructor", "example."]) {
      expect(reference.describe(name)).toBeUndefined();
    }
  });
});
