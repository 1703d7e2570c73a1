/** The tool `search`: finds what scripts can call, by words. */
import { z } from "zod";
import { ApiReference } from "../api-reference.js";
import { defineTool, READS } from "./tool.js";

export const search = defineTool({
  name: "search",
  title: "Search the script API",
  description:
    "Find functions and types that scripts given to run_script can use, by words such as `forward port` or `write json file`; also example scripts. Answers one line each; `describe` shows the declarations.",
  annotations: READS,
  permission: undefined,
  input: z.strictObject({
    query: z.string().min(1).max(500).describe("Words that say what the script is to do."),
    limit: z.number().int().min(1).max(50).default(12).describe("Results at most."),
  }),
  output: z.object({
    matches: z.array(z.object({ name: z.string(), kind: z.string(), summary: z.string() })),
  }),
  run: async ({ query, limit }) => {
    const reference = await ApiReference.load();
    const matches = reference.search(query, limit);
    const lines = matches.map(({ name, kind, summary }) => `${name} (${kind}): ${summary}`);
    const modules = reference.modules.map(({ name }) => name).join(", ");
    return {
      text:
        lines.length > 0
          ? lines.join("\n")
          : `Nothing was found. Try other words, or describe a whole module: ${modules}.`,
      structured: { matches },
    };
  },
});
