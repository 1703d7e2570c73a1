/**
 * Turns an argument vector into what just-bash executes without any shell meaning, and refuses
 * what no process can receive. Called on the host side before a command is sent, and by the worker.
 */
import { SpacesError } from "../../contract/errors.js";
import type { SpawnRequest } from "../driver.js";
import { MAX_ARGUMENT_LENGTH, MAX_INPUT_BYTES } from "./limits.js";

/**
 * Quotes one word so that a POSIX shell reads back exactly this word.
 *
 * @param word any text without NUL
 */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function refuseNul(what: string, text: string): void {
  if (!text.includes("\0")) return;
  throw new SpacesError("INVALID_INPUT", `${what} contains a NUL character.`, {
    suggestion: "Remove the NUL character, or pass the data on standard input.",
  });
}

/**
 * Checks what a program would be started with.
 *
 * @throws `INVALID_INPUT` for a NUL character, a relative workdir or a bad variable name;
 * `LIMIT_EXCEEDED` for too much of it
 */
export function checkRequest(request: SpawnRequest): void {
  let length = 0;
  request.argv.forEach((argument, index) => {
    refuseNul(index === 0 ? "The program name" : `Argument ${index}`, argument);
    length += argument.length;
  });
  for (const [name, value] of Object.entries(request.env)) {
    if (name === "" || name.includes("=") || name.includes("\0")) {
      throw new SpacesError(
        "INVALID_INPUT",
        `${JSON.stringify(name)} is not a name of an environment variable.`,
      );
    }
    refuseNul(`The environment variable ${name}`, value);
    length += name.length + value.length;
  }
  if (length > MAX_ARGUMENT_LENGTH) {
    throw new SpacesError(
      "LIMIT_EXCEEDED",
      `Arguments and environment have ${length} characters; at most ${MAX_ARGUMENT_LENGTH} are allowed.`,
      { suggestion: "Pass the data on standard input or in a file." },
    );
  }
  if (request.workdir !== undefined) {
    refuseNul("The working directory", request.workdir);
    if (!request.workdir.startsWith("/")) {
      throw new SpacesError(
        "INVALID_INPUT",
        `The working directory ${JSON.stringify(request.workdir)} is not an absolute path.`,
      );
    }
  }
  if (request.input !== undefined && request.input.byteLength > MAX_INPUT_BYTES) {
    throw new SpacesError(
      "LIMIT_EXCEEDED",
      `Standard input has ${request.input.byteLength} bytes; at most ${MAX_INPUT_BYTES} are allowed.`,
      { suggestion: "Put the data in a file of the workspace." },
    );
  }
}
