/**
 * The addresses of resources, such as `spaces://runs/run_…/log`. They come from outside: only their one
 * plain form is taken, so that none means another than it shows.
 */
import { nameSchema, spaceRefSchema } from "../contract/ids.js";
import { runIdSchema } from "../contract/runs.js";

export type Address =
  | { readonly kind: "spaces" | "templates" | "scripts" | "runs" }
  | { readonly kind: "space" | "template" | "script" | "run" | "log"; readonly name: string };

const FORM = /^spaces:\/\/(spaces|templates|scripts|runs)(?:\/([a-z0-9_-]{1,80})(\/log)?)?$/;

/** What an address means; undefined for everything that is none. */
export function parseAddress(uri: string): Address | undefined {
  const [, list, name, log] = FORM.exec(uri) ?? [];
  switch (list) {
    case "spaces":
    case "templates":
    case "scripts":
    case "runs":
      break;
    default:
      return undefined;
  }
  if (name === undefined) return { kind: list };
  const { kind, schema } = ONE[list];
  if (!schema.safeParse(name).success) return undefined;
  if (log === undefined) return { kind, name };
  return kind === "run" ? { kind: "log", name } : undefined;
}

const ONE = {
  spaces: { kind: "space", schema: spaceRefSchema },
  templates: { kind: "template", schema: nameSchema },
  scripts: { kind: "script", schema: nameSchema },
  runs: { kind: "run", schema: runIdSchema },
} as const;
