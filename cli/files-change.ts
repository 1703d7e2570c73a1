/** `spaces files mkdir`, `mv`, `cp` and `rm`: changes within a space. */
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { isSpaceDirectory, lastPart } from "./copy-space.js";
import { exitCodeOf } from "./exit-codes.js";
import { reportError, toSpacesError } from "./failures.js";
import type { Session } from "./session.js";
import { printableName } from "./text.js";

/** Makes each directory that it can, and reports those that it could not. */
export async function makeDirectories(
  session: Session,
  space: string,
  paths: readonly string[],
  parents: boolean | undefined,
): Promise<void> {
  const client = await session.client();
  const items = await each(session, paths, async (path) => [
    await client.files.mkdir({ space, path, parents }, { signal: session.signal }).catch(explain),
  ]);
  if (session.output.isJson) session.output.json({ items });
}

/** What is not found is a directory above the one that is to be made. */
function explain(error: unknown): never {
  if (!SpacesError.isInstance(error) || error.code !== "FILE_NOT_FOUND") throw error;
  throw new SpacesError(error.code, error.message, {
    suggestion: "Add --parents to make the directories above it too.",
    details: error.details,
    cause: error,
  });
}

interface ChangeOfPlace {
  readonly space: string;
  readonly from: string;
  readonly to: string;
  readonly recursive?: boolean | undefined;
  readonly overwrite?: boolean | undefined;
}

/** Moves or copies within a space; a directory takes what comes under its own name. */
export async function changePlace(
  session: Session,
  how: "move" | "copy",
  { space, from, to, recursive, overwrite }: ChangeOfPlace,
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const name = lastPart(from);
  const into = name !== undefined && (await isSpaceDirectory(client, space, to, signal));
  const paths = { space, from, to: into ? `${to.replace(/\/+$/, "")}/${name}` : to, overwrite };
  const changed =
    how === "move"
      ? await client.files.move(paths, { signal })
      : await client.files.copy({ ...paths, recursive }, { signal });
  const done = how === "move" ? "Moved" : "Copied";
  output.note(`${done} ${printableName(from)} to ${printableName(changed.path)}.`);
  if (output.isJson) output.json(changed);
}

interface RemoveOptions {
  readonly recursive?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

interface Removed {
  readonly path: string;
  readonly removed: boolean;
  readonly dryRun?: true;
}

/** Removes each file that it can, and reports those that it could not. */
export async function removeFiles(
  session: Session,
  space: string,
  paths: readonly string[],
  options: RemoveOptions,
): Promise<void> {
  const { output, signal } = session;
  const { recursive, force, dryRun = false } = options;
  const client = await session.client();
  const items = await each<Removed>(session, paths, async (path) => {
    if (dryRun) return await wouldRemove(session, client, space, path, options);
    await client.files.remove({ space, path, recursive, force }, { signal });
    output.note(`Removed ${printableName(path)}.`);
    return [{ path, removed: true }];
  });
  if (output.isJson) output.json({ items });
}

/** Shows what removing would remove, or fails as it would. */
async function wouldRemove(
  { output, signal }: Session,
  client: Client,
  space: string,
  path: string,
  { recursive = false, force = false }: RemoveOptions,
): Promise<Removed[]> {
  if (force && !(await client.files.exists({ space, path }, { signal })).exists) return [];
  const found = await client.files.stat({ space, path }, { signal });
  const items = [found];
  let cursor: string | undefined;
  if (found.type === "directory") {
    do {
      const page = await client.files.list({ space, path, recursive, cursor }, { signal });
      if (!recursive && page.items.length > 0) {
        throw new SpacesError("DIRECTORY_NOT_EMPTY", `${printableName(path)} is not empty.`, {
          suggestion: "Remove it with all that is in it: add -r.",
        });
      }
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }
  for (const file of items) output.note(`Would remove ${printableName(file.path)}.`);
  return items.map((file) => ({ path: file.path, removed: false, dryRun: true }));
}

/** Does something to each path, and goes on with the others where one fails. */
async function each<T>(
  session: Session,
  paths: readonly string[],
  action: (path: string) => Promise<readonly T[]>,
): Promise<T[]> {
  const items: T[] = [];
  for (const path of paths) {
    try {
      items.push(...(await action(path)));
    } catch (failure) {
      if (session.signal.aborted) throw failure;
      const error = toSpacesError(failure);
      reportError(session.output, error);
      if (session.exitCode === 0) session.exitCode = exitCodeOf(error.code);
    }
  }
  return items;
}
