/** `spaces scripts diff`: compares versions of a stored script with each other, or with files. */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT } from "./exit-codes.js";
import type { Output, Style } from "./output.js";
import { readFile, SOURCE_LIMIT } from "./scripts-save.js";
import type { Session } from "./session.js";

/** How long texts may be compared, in milliseconds: the time grows with the square of what differs. */
const LONGEST_MS = 10_000;

/** What is compared: numbers of versions, or paths. */
interface DiffRequest {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly global: boolean;
}

interface Side {
  readonly label: string;
  readonly source: string;
}

export async function diffScript(
  session: Session,
  script: string,
  { from, to, global }: DiffRequest,
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const newest = await client.scripts.get({ script, global }, { signal });
  const side = (given: string) => sideOf({ client, script, global, given }, signal);
  // A file alone is compared with the newest version, as the change that saving it would make.
  const isFile = from !== undefined && to === undefined && !isVersion(from);
  const current: Side = { label: `${script} (version ${newest.version})`, source: newest.source };
  const before = isFile ? current : await side(from ?? String(previous(script, newest.version)));
  const after = isFile ? await side(from) : to === undefined ? current : await side(to);
  const different = before.source !== after.source;
  const patch = different ? unified(before, after) : "";
  output.result({ script, from: before.label, to: after.label, different, patch }, () =>
    colored(output, patch),
  );
  if (different) session.exitCode = EXIT.failure;
}

function isVersion(given: string): boolean {
  return /^[0-9]+$/.test(given);
}

function previous(script: string, newest: number): number {
  if (newest > 1) return newest - 1;
  throw new SpacesError("SCRIPT_NOT_FOUND", `The script "${script}" has one version only.`, {
    suggestion: "Name a file to compare it with.",
  });
}

async function sideOf(
  at: { client: Client; script: string; global: boolean; given: string },
  signal: AbortSignal,
): Promise<Side> {
  const { client, script, global, given } = at;
  if (!isVersion(given)) return { label: given, source: readFile(given, SOURCE_LIMIT) };
  const { version, source } = await client.scripts.get(
    { script, version: Number(given), global },
    { signal },
  );
  return { label: `${script} (version ${version})`, source };
}

function unified(before: Side, after: Side): string {
  const patch = createTwoFilesPatch(
    before.label,
    after.label,
    before.source,
    after.source,
    undefined,
    undefined,
    { context: 3, timeout: LONGEST_MS, headerOptions: FILE_HEADERS_ONLY },
  );
  if (patch !== undefined) return patch;
  throw new SpacesError("LIMIT_EXCEEDED", "They differ in too much to be compared line by line.", {
    suggestion: "Write both to files with `spaces scripts show`, and compare these.",
  });
}

function colored(output: Output, patch: string): string {
  return patch.replace(/^.*$/gm, (line) => {
    const style = styleOf(line);
    return style === undefined ? line : output.style("stdout", style, line);
  });
}

function styleOf(line: string): Style | undefined {
  if (line.startsWith("---") || line.startsWith("+++")) return "bold";
  if (line.startsWith("@@")) return "cyan";
  if (line.startsWith("+")) return "green";
  return line.startsWith("-") ? "red" : undefined;
}
