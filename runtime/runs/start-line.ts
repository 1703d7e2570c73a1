/** Makes the first line of a run's journal: what is known of the run when it begins. */
import { PROCESS_IDENTITY } from "../process-identity.js";
import { GIVEN_BYTES } from "./limits.js";
import type { RunHeader, StartLine } from "./lines.js";
import { redactHeader } from "./scrub.js";

/** The first line: without secrets, and without what is too long to be kept. */
export function startLine(given: RunHeader, secrets: readonly string[]): StartLine {
  const { input, ...rest } = redactHeader(given, secrets);
  const keepsArgs = sizeOf(rest.args) <= GIVEN_BYTES;
  const keepsInput = sizeOf(input) <= GIVEN_BYTES;
  const run = {
    ...rest,
    args: keepsArgs ? rest.args : [],
    ...(input === undefined || !keepsInput ? {} : { input }),
  };
  const isAltered =
    JSON.stringify([run.args, run.input]) !== JSON.stringify([given.args, given.input]);
  return { t: "start", v: 1, holder: PROCESS_IDENTITY, altered: isAltered ? 1 : 0, run };
}

function sizeOf(value: unknown): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
}
