/** Reads files and standard input that commands take, bounded in size and strictly as UTF-8. */
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { SpacesError } from "../runtime/contract/errors.js";

/**
 * Reads a text file, or a pipe such as `/dev/fd/63`.
 * @param limit most bytes that are taken
 * @returns the text, or undefined where there is no such file; `INVALID_INPUT` when it is a
 *   directory, too large, not UTF-8 or not readable
 */
export function readTextFile(path: string, limit: number): string | undefined {
  let bytes: Buffer;
  try {
    const file = openSync(path, "r");
    try {
      if (fstatSync(file).size > limit) throw tooLarge(path, limit);
      bytes = readFileSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (SpacesError.isInstance(error)) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new SpacesError("INVALID_INPUT", `${path} cannot be read: ${message}.`, {
      suggestion: code === "EISDIR" ? "Name a file in the directory." : "Check the file.",
      cause: error,
    });
  }
  if (bytes.length > limit) throw tooLarge(path, limit);
  return decode(bytes, path);
}

/**
 * Reads standard input to its end.
 * @param limit most bytes that are taken; `INVALID_INPUT` for more, and for what is not UTF-8
 * @param signal stops the reading with `CANCELLED`
 */
export async function readStdin(limit: number, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = (): void => {
    process.stdin.destroy(new SpacesError("CANCELLED"));
  };
  if (signal.aborted) throw new SpacesError("CANCELLED");
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limit) throw tooLarge("standard input", limit);
      chunks.push(chunk);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return decode(Buffer.concat(chunks), "standard input");
}

/**
 * Reads a file that has to be there, or standard input where its name is `-`.
 * @param limit most bytes that are taken
 * @throws SpacesError `INVALID_INPUT` as the two above, and where there is no such file
 */
export async function readFileOrStdin(
  file: string,
  limit: number,
  signal: AbortSignal,
): Promise<string> {
  const text = file === "-" ? await readStdin(limit, signal) : readTextFile(file, limit);
  if (text !== undefined) return text;
  throw new SpacesError("INVALID_INPUT", `There is no file "${file}".`, {
    suggestion: "Check the path.",
  });
}

/** Whether standard input is a file or pipe, which a command may be meant to read. */
export function stdinHasData(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFile() || stat.isFIFO() || stat.isSocket();
  } catch (error) {
    // A closed standard input carries nothing.
    if ((error as NodeJS.ErrnoException).code === "EBADF") return false;
    throw error;
  }
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", `${name} is not UTF-8 text.`, {
      suggestion: "Save it as UTF-8.",
      cause,
    });
  }
}

function tooLarge(name: string, limit: number): SpacesError {
  return new SpacesError("INVALID_INPUT", `${name} has more than ${limit} bytes.`, {
    suggestion: `Give ${limit} bytes at most.`,
  });
}
