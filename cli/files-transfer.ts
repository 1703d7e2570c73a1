/** `spaces files cat`, `put` and `get`: bytes of files, streamed and checked. */
import { SpacesError } from "../runtime/contract/errors.js";
import { copy, type Source, type Target, tellCopy } from "./copy.js";
import { LocalSource, LocalTarget } from "./copy-local.js";
import { openDownload, SpaceSource, SpaceTarget } from "./copy-space.js";
import { StdinSource, StdoutTarget } from "./copy-stdio.js";
import type { Session } from "./session.js";
import { printableName } from "./text.js";

interface TransferOptions {
  readonly recursive?: boolean;
  readonly overwrite: boolean;
}

/** Copies from this machine into a space. */
export async function putFiles(
  session: Session,
  space: string,
  local: string,
  path: string | undefined,
  options: TransferOptions,
): Promise<void> {
  if (local === "-" && path === undefined) {
    throw new SpacesError("INVALID_INPUT", "Standard input has no name.", {
      suggestion: "Name the file in the space, such as `spaces files put dev - notes.txt`.",
    });
  }
  const client = await session.client();
  const { signal } = session;
  const from = local === "-" ? new StdinSource(signal) : new LocalSource(local);
  await transfer(
    session,
    from,
    new SpaceTarget({ client, signal, space, path: path ?? "" }),
    options,
  );
}

/** Copies from a space to this machine. */
export async function getFiles(
  session: Session,
  space: string,
  path: string,
  local: string,
  options: TransferOptions,
): Promise<void> {
  const to = local === "-" ? new StdoutTarget(session) : new LocalTarget(local);
  const client = await session.client();
  const from = new SpaceSource({ client, signal: session.signal, space, path });
  await transfer(session, from, to, options);
}

async function transfer(
  session: Session,
  from: Source,
  to: Target,
  { recursive = false, overwrite }: TransferOptions,
): Promise<void> {
  tellCopy(session, from, to, await copy(session, from, to, { recursive, overwrite }));
}

/** Prints a file, or a range of it; with `--json` as text, or as base64 where it is none. */
export async function catFile(
  session: Session,
  space: string,
  path: string,
  { offset, length }: { readonly offset?: number; readonly length?: number },
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const request = { space, path, offset, length };
  if (output.isJson) {
    try {
      output.json(await client.files.read({ ...request, encoding: "utf8" }, { signal }));
    } catch (error) {
      if (!SpacesError.isInstance(error) || error.code !== "INVALID_INPUT") throw error;
      output.json(await client.files.read({ ...request, encoding: "base64" }, { signal }));
    }
    return;
  }
  const from: Source = {
    label: printableName(path),
    name: undefined,
    describe: async () => ({ segments: [], type: "file" as const }),
    async *entries() {
      // A file has nothing below it.
    },
    open: () => openDownload(client, request, signal),
  };
  await copy(session, from, new StdoutTarget(session), { recursive: false, overwrite: true });
}
