/**
 * Finds the program that an argument vector names, as the operating system would: by its path, or
 * along PATH. Used by the worker before a command starts.
 */
import { posix } from "node:path";
import type { IFileSystem } from "just-bash";
import { SpacesError } from "../../contract/errors.js";

/** Shells that a space may name but that just-bash is not. */
const OTHER_SHELLS = new Set(["zsh", "fish", "dash", "ksh", "csh", "tcsh"]);

/** Programs of every POSIX system that just-bash has as shell builtins only. */
const BUILTIN_PROGRAMS = new Set(["test", "["]);

/**
 * Refuses a shell that does not exist in virtual spaces.
 *
 * @param program the first element of an argument vector
 * @throws `UNSUPPORTED`
 */
export function refuseOtherShells(program: string): void {
  const name = posix.basename(program);
  if (!OTHER_SHELLS.has(name)) return;
  throw new SpacesError("UNSUPPORTED", `Virtual spaces have no ${name}: their shell is bash.`, {
    suggestion: "Create the space with the shell `bash` or `sh`, or use another driver.",
  });
}

async function isFile(files: IFileSystem, path: string): Promise<boolean> {
  try {
    return (await files.stat(path)).isFile;
  } catch {
    // Missing, or behind a symlink that may not be followed: not a program either way.
    return false;
  }
}

/**
 * @param program name or path of a program
 * @param path value of PATH
 * @param workdir directory that relative paths start from
 * @returns what to execute
 * @throws `COMMAND_NOT_FOUND`
 */
export async function findProgram(
  files: IFileSystem,
  program: string,
  path: string,
  workdir: string,
): Promise<string> {
  if (program.includes("/")) {
    if (await files.exists(files.resolvePath(workdir, program))) return program;
  } else if (BUILTIN_PROGRAMS.has(program)) {
    return program;
  } else if (program !== "" && program !== "." && program !== "..") {
    for (const directory of path.split(":")) {
      const candidate = posix.join(files.resolvePath(workdir, directory || "."), program);
      if (await isFile(files, candidate)) return candidate;
    }
  }
  throw new SpacesError(
    "COMMAND_NOT_FOUND",
    `There is no program ${JSON.stringify(program)} in the space.`,
    {
      suggestion:
        "Virtual spaces have the programs of just-bash only (`ls /bin` lists them); " +
        "use a space on another driver for others.",
    },
  );
}
