/** Checks a request before anything is run for it, and writes down what its sandbox starts with. */
import { SpacesError } from "../contract/errors.js";
import type { ResolvedLimits } from "./limits.js";
import { checkSource } from "./source.js";
import type { ScriptRequest, SessionRequest } from "./types.js";

/**
 * Refuses a script that cannot be run.
 *
 * @throws SpacesError `INVALID_INPUT`
 */
export function checkScript({ filename, source }: ScriptRequest, limits: ResolvedLimits): void {
  if (filename === "" || filename.startsWith("spaces:") || /[\0\r\n]/.test(filename)) {
    throw new SpacesError("INVALID_INPUT", `${JSON.stringify(filename)} is no name of a script.`);
  }
  const problem = checkSource(source, limits.sourceBytes);
  if (problem !== undefined) {
    throw new SpacesError("INVALID_INPUT", `The script ${filename} ${problem}`);
  }
}

/**
 * The JSON that the prelude starts with.
 *
 * @param what what is started, as errors name it
 * @throws SpacesError `INVALID_INPUT` when the input is not JSON-safe
 */
export function factsFor(
  what: string,
  request: ScriptRequest | SessionRequest,
  { concurrentCalls }: ResolvedLimits,
): string {
  const { args, input, space } = request;
  try {
    return JSON.stringify({
      args: args ?? [],
      input,
      env: openEnv(request),
      space,
      concurrentCalls,
    });
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", `The input of ${what} is not JSON-safe.`, { cause });
  }
}

/** The part of the environment that the script's permissions open. */
function openEnv({
  env = {},
  permissions,
}: Pick<ScriptRequest, "env" | "permissions">): Record<string, string> {
  const allowed = permissions?.env ?? [];
  const open = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (allowed === true || allowed.includes(entry[0])),
  );
  return Object.fromEntries(open);
}
