/** The tool `describe`: shows the TypeScript declarations of what scripts can call. */
import { z } from "zod";
import { ApiReference } from "../api-reference.js";
import { Excerpt } from "../excerpt.js";
import { visibleLine } from "../foreign-text.js";
import { budgetShape, defineTool, READS } from "./tool.js";

export const describe = defineTool({
  name: "describe",
  title: "Describe the script API",
  description:
    "Show TypeScript declarations with documentation and examples, by name: a function or type (`spaces.run`, `RunOptions`), a whole module (`spaces`, `files`, `space`, `runtime`, `yaml`, `globals`), or an example script (`example.quickstart`).",
  annotations: READS,
  permission: undefined,
  input: z.strictObject({
    names: z.array(z.string().min(1).max(100)).min(1).max(20).describe("What to describe."),
    ...budgetShape,
  }),
  output: z.object({
    declarations: z.string().describe("TypeScript."),
    unknown: z.array(z.string()).describe("Names of which there is nothing."),
  }),
  run: async ({ names, max_chars }) => {
    const reference = await ApiReference.load();
    const excerpt = new Excerpt(max_chars, "describe fewer names at once");
    const unknown: string[] = [];
    for (const name of new Set(names)) {
      const text = reference.describe(name);
      if (text === undefined) unknown.push(visibleLine(name, 100));
      else excerpt.add(`${text}\n\n`);
    }
    const declarations = excerpt.toString().trimEnd();
    const missing =
      unknown.length === 0 ? [] : [`There is no ${unknown.join(", ")}; find names with search.`];
    return {
      text: [...(declarations === "" ? [] : [declarations]), ...missing].join("\n\n"),
      structured: { declarations, unknown },
      isError: declarations === "",
    };
  },
});
