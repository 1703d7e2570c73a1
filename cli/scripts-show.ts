/** `spaces scripts list|show|history|rollback|delete`: what is stored, and its versions. */
import { SpacesError } from "../runtime/contract/errors.js";
import type { Script } from "../runtime/contract/scripts.js";
import { describe } from "./scripts-save.js";
import type { Session } from "./session.js";
import { ago, byteSize, table } from "./text.js";

export async function listScripts(session: Session): Promise<void> {
  const client = await session.client();
  const listed = await client.scripts.list({}, { signal: session.signal });
  const { items } = listed;
  if (items.length === 0) session.output.note("There are no stored scripts.");
  session.output.result(listed, () =>
    items.length === 0
      ? ""
      : titled(
          session,
          ["NAME", "KIND", "LANGUAGE", "VERSION", "UPDATED", "DESCRIPTION"],
          items.map((script) => [
            script.name,
            kindOf(script),
            script.language,
            String(script.version),
            ago(script.updatedAt),
            script.description,
          ]),
        ),
  );
}

function kindOf(script: Pick<Script, "kind" | "tool" | "global"> & { shadowed: boolean }): string {
  const place = script.shadowed ? "shadowed" : "global";
  return [script.tool ? "tool" : script.kind, ...(script.global ? [place] : [])].join(", ");
}

export async function showScript(
  session: Session,
  script: string,
  { version, global = false }: { readonly version?: number; readonly global?: boolean },
): Promise<void> {
  const client = await session.client();
  const found = await client.scripts.get({ script, version, global }, { signal: session.signal });
  session.output.result(found, () => found.source.replace(/\n*$/, "\n"));
}

export async function showHistory(
  session: Session,
  script: string,
  global: boolean,
): Promise<void> {
  const client = await session.client();
  const listed = await client.scripts.history({ script, global }, { signal: session.signal });
  session.output.result(listed, () =>
    titled(
      session,
      ["VERSION", "SAVED", "BY", "SIZE", "SHA-256", "DESCRIPTION"],
      listed.items.map((item) => [
        `${item.version}${item.isCurrent ? " *" : ""}`,
        ago(item.createdAt),
        item.createdBy,
        byteSize(item.size),
        item.sha256.slice(0, 12),
        item.description,
      ]),
    ),
  );
}

export async function rollbackScript(
  session: Session,
  script: string,
  { to, global = false }: { readonly to?: number; readonly global?: boolean },
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const saved = await client.scripts.rollback({ script, version: to, global }, { signal });
  output.note(`Saved ${describe(saved)}, as ${to === undefined ? "before" : `version ${to}`}.`);
  if (output.isJson) {
    const { source: _source, ...rest } = saved;
    output.json(rest);
  }
}

export async function deleteScript(
  session: Session,
  script: string,
  { dryRun = false, global = false }: { readonly dryRun?: boolean; readonly global?: boolean },
): Promise<void> {
  const { signal, output } = session;
  const client = await session.client();
  const of = global ? "global script" : "script";
  if (dryRun) {
    // Without asking for the global one, another than the caller's own would not be deleted.
    const { items } = await client.scripts.list({}, { signal });
    if (!items.some((item) => item.name === script && item.global === global)) {
      await client.scripts.get({ script, global }, { signal });
      throw notOwn(script);
    }
  } else {
    await client.scripts.delete({ script, global }, { signal });
  }
  output.note(dryRun ? `Would delete ${of} ${script}.` : `Deleted ${of} ${script}.`);
  if (output.isJson) output.json({ script, deleted: !dryRun });
}

/** What is asked of a script of one's own where only a global one is. */
export function notOwn(script: string): SpacesError {
  return new SpacesError("SCRIPT_NOT_FOUND", `You have no script "${script}" of your own.`, {
    suggestion: "Ask for the global one of this name with --global.",
  });
}

function titled(
  { output }: Session,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  return table(head, rows, (title) => output.style("stdout", "bold", title));
}
