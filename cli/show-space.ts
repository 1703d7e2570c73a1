/** Shows spaces to people: a table of many, or all about one. */
import type { Space } from "../runtime/contract/spaces.js";
import type { Output } from "./output.js";
import { ago, details, table } from "./text.js";

/** A table with one line a space. */
export function spaceTable(spaces: readonly Space[], output: Output): string {
  // Few spaces expire: the column is there when one does.
  const expires = spaces.some((space) => space.expiresAt !== undefined);
  const column = (text: string): string[] => (expires ? [text] : []);
  return table(
    ["NAME", "STATUS", "DRIVER", "TEMPLATE", "CREATED", ...column("EXPIRES"), "DESCRIPTION"],
    spaces.map((space) => [
      space.name,
      space.activity === "busy" ? `${space.status} (busy)` : space.status,
      space.driver,
      space.template,
      ago(space.createdAt),
      ...column(space.expiresAt === undefined ? "-" : ago(space.expiresAt)),
      space.description,
    ]),
    (title) => output.style("stdout", "bold", title),
  );
}

const WITHOUT_AGENT =
  "exec (the guest agent cannot run here: commands are slower, and there are no ports, terminals or background processes)";

/** All about one space, a line each. */
export function describeSpace(space: Space, output: Output): string {
  const rows: [string, string | undefined][] = [
    ["name", space.name],
    ["id", space.id],
    ["status", space.activity === undefined ? space.status : `${space.status} (${space.activity})`],
    ["description", space.description],
    ["template", space.template],
    ["driver", space.driver],
    ["image", space.image],
    ["access", space.access === "exec" ? WITHOUT_AGENT : space.access],
    ["shell", space.shell],
    ["workdir", space.workdir],
    ["workspace", space.workspace],
    ["created", `${ago(space.createdAt)} (${space.createdAt})`],
    ["expires", space.expiresAt && `${ago(space.expiresAt)} (${space.expiresAt})`],
    ["started", space.startedAt && `${ago(space.startedAt)} (${space.startedAt})`],
    ["last error", space.lastError && `${space.lastError.message} [${space.lastError.code}]`],
    ...pairs("env", space.env),
    ...pairs("field", space.fields),
    ...pairs("metadata", space.metadata),
  ];
  return details(rows, (label) => output.style("stdout", "bold", label));
}

function pairs(label: string, map: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(map).map(([key, value]) => [label, `${key}=${value}`]);
}
