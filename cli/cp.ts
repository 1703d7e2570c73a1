/** `spaces cp`: copies files between this machine and spaces, and from space to space. */
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { copy, type Source, type Target, tellCopy } from "./copy.js";
import { LocalSource, LocalTarget } from "./copy-local.js";
import { SpaceSource, SpaceTarget } from "./copy-space.js";
import { StdinSource, StdoutTarget } from "./copy-stdio.js";
import { changePlace } from "./files-change.js";
import { examples } from "./help.js";
import type { Session } from "./session.js";

export function defineCp(program: Command, session: Session): void {
  const command = program
    .command("cp")
    .summary("copy files between this machine and spaces")
    .description(
      "Copy a file, or a directory with all that is in it, to or from a space, or from space to space. A directory that exists takes it under its own name; `dir/.` means what is in the directory. Symlinks in a directory are left out.",
    )
    .argument("<from>", "file or directory, as space:path or of this machine; - for standard input")
    .argument("<to>", "where to, as space:path or of this machine; - for standard output")
    .option("--no-overwrite", "refuse to replace a file that exists")
    // A directory is always copied with all that is in it; `-r` is what other programs want for that.
    .addOption(program.createOption("-r, --recursive").hideHelp())
    .action((from: string, to: string, { overwrite }: { overwrite: boolean }) =>
      copyBetween(session, placeOf(from), placeOf(to), overwrite),
    );
  examples(
    command,
    "cp ./app dev:app",
    "cp dev:/workspace/report.pdf .",
    "cp dev:data other:data",
    "cp dev:log.txt - | tail",
  );
}

/** One side of a copy as it was given; without a space it is of this machine. */
export interface Place {
  readonly space: string | undefined;
  readonly path: string;
}

/**
 * Reads one side of a copy: `space:path`, or a path of this machine. One with a colon can be given
 * as `./a:b`.
 * @param platform the one that the path is of
 */
export function placeOf(text: string, platform: string = process.platform): Place {
  const [, space, path = ""] = /^([a-z0-9][a-z0-9_-]*):(.*)$/s.exec(text) ?? [];
  const isDrive = platform === "win32" && space?.length === 1 && /^[\\/]/.test(path);
  return space === undefined || isDrive ? { space: undefined, path: text } : { space, path };
}

async function copyBetween(
  session: Session,
  from: Place,
  to: Place,
  overwrite: boolean,
): Promise<void> {
  if (from.space === undefined && to.space === undefined) {
    throw new SpacesError("INVALID_INPUT", "Neither side names a space.", {
      suggestion: "Write one as space:path, such as `spaces cp ./app dev:app`.",
    });
  }
  if (from.space !== undefined && from.space === to.space) {
    const paths = { space: from.space, from: from.path || ".", to: to.path };
    await changePlace(session, "copy", { ...paths, recursive: true, overwrite });
    return;
  }
  const source = await sourceOf(session, from);
  const target = await targetOf(session, to);
  const report = await copy(session, source, target, { recursive: true, overwrite });
  tellCopy(session, source, target, report);
}

async function sourceOf(session: Session, { space, path }: Place): Promise<Source> {
  const { signal } = session;
  if (space !== undefined) {
    return new SpaceSource({ client: await session.client(), signal, space, path });
  }
  return path === "-" ? new StdinSource(signal) : new LocalSource(path);
}

async function targetOf(session: Session, { space, path }: Place): Promise<Target> {
  if (space !== undefined) {
    const { signal } = session;
    return new SpaceTarget({ client: await session.client(), signal, space, path });
  }
  return path === "-" ? new StdoutTarget(session) : new LocalTarget(path);
}
