/** Names that come from spaces as names of this machine's files, and its errors as ours. */
import { type ErrorCode, SpacesError } from "../runtime/contract/errors.js";
import { printableName } from "./text.js";

/** What Windows cannot have in a name, or takes for something else. */
const WINDOWS_UNFIT =
  /[<>:"\\|?*\u0000-\u001f]|[. ]$|^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;

/**
 * Makes sure that a name from a space names a file in the directory that it is written to, and
 * nothing else.
 * @param platform the one that the file is for
 * @returns the name
 * @throws SpacesError `PATH_DENIED`
 */
export function checkLocalName(name: string, platform: string = process.platform): string {
  const leadsAway = name === "" || name === "." || name === ".." || /[/\0]/.test(name);
  if (!leadsAway && (platform !== "win32" || !WINDOWS_UNFIT.test(name))) return name;
  throw new SpacesError("PATH_DENIED", `"${printableName(name)}" cannot be a file's name here.`, {
    suggestion: "Rename it in the space with `spaces files mv`, or copy it by itself.",
  });
}

const CODE_OF: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ["FILE_NOT_FOUND", "Check the path."],
  ENOTDIR: ["WRONG_FILE_TYPE", "Check the path: a part of it is no directory."],
  EISDIR: ["WRONG_FILE_TYPE", "Name a file in the directory."],
  ELOOP: ["PATH_DENIED", "Name what the symlink points to."],
  EEXIST: ["FILE_EXISTS", "Choose another name, or remove it first."],
  EACCES: ["PATH_DENIED", "Check the permissions of the file and of its directory."],
  EPERM: ["PATH_DENIED", "Check the permissions of the file and of its directory."],
  EROFS: ["PATH_DENIED", "Choose a directory that can be written."],
  ENAMETOOLONG: ["PATH_DENIED", "Choose a shorter name."],
  ENOSPC: ["DISK_FULL", "Make room on this machine's disk."],
  EDQUOT: ["DISK_FULL", "Make room on this machine's disk."],
};

/**
 * The error that tells what went wrong with a file of this machine. Errors of ours stay as they are.
 * @param label the path, fit to be printed
 */
export function localError(label: string, error: unknown): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  const [ours, suggestion] = CODE_OF[code] ?? [];
  if (SpacesError.isInstance(error) || ours === undefined) return error;
  const text =
    code === "ENOENT" ? `There is no ${label}.` : `${label}: ${message.replace(/, .*$/s, "")}.`;
  return new SpacesError(ours, text, { ...(suggestion && { suggestion }), cause: error });
}
