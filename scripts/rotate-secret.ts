/*---
description: Gives a secret field of a space a new random value
inputs:
  space: {type: string, required: true, description: "Name or id of the space"}
  field: {type: string, required: true, description: "Name of the secret field"}
  bytes: {type: integer, default: 32, minimum: 16, maximum: 1024, description: "Random bytes of the new value"}
  format: {type: string, default: hex, enum: [hex, base64url], description: "How the bytes are written"}
  command: {type: string, description: "Command line that is run in the space with the new value on its standard input, so that the service takes it"}
  timeout: {type: number, default: 60, minimum: 1, description: "Seconds that the command may take"}
---*/
/**
 * The value is never printed, nor is what the command prints, which may hold it. Where the command
 * fails, the field gets its old value back and the exit code is 1.
 *
 *     spaces run scripts/rotate-secret.ts -- --space db --field password --command ./set-password.sh
 */
import { exit } from "runtime";
import spaces from "spaces";
import { inputs, reasonOf, refuse } from "./report.ts";

const { space, field, bytes, format, command, timeout } = inputs<{
  space: string;
  field: string;
  bytes: number;
  format: string;
  command?: string;
  timeout: number;
}>({ space: "", field: "", bytes: 32, format: "hex", timeout: 60 });
if (space === "" || field === "")
  refuse("Name the space and the field: --space NAME --field NAME.");

const known = spaces.list_fields(space).find(({ name }) => name === field);
if (known === undefined) refuse(`${space} has no field "${field}".`);
if (!known.secret) refuse(`The field "${field}" of ${space} is not secret: it is not rotated.`);
if (command !== undefined && !spaces.is_running(space)) {
  refuse(`${space} does not run, so that the command cannot be run in it.`);
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function randomText(): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  if (format === "hex")
    return [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let text = "";
  for (let at = 0; at < random.length; at += 3) {
    const [a = 0, b = 0, c = 0] = random.subarray(at, at + 3);
    const digits = [a >> 2, ((a & 3) << 4) | (b >> 4), ((b & 15) << 2) | (c >> 6), c & 63];
    text += digits
      .slice(0, Math.min(3, random.length - at) + 1)
      .map((digit) => DIGITS[digit])
      .join("");
  }
  return text;
}

/** Runs the command. @returns why it failed, without anything that it printed */
function taken(value: string): string | undefined {
  if (command === undefined) return undefined;
  try {
    const { exit_code, timed_out } = spaces.exec(space, command, { input: value, timeout });
    if (timed_out) return `the command took longer than ${timeout} seconds`;
    return exit_code === 0 ? undefined : `the command ended with ${exit_code}`;
  } catch (error) {
    return reasonOf(error);
  }
}

const before = spaces.get_field(space, field);
const value = randomText();
spaces.set_field(space, field, value);
const failure = taken(value);
if (failure !== undefined) {
  spaces.set_field(space, field, before);
  console.error(`${space}: ${failure}; the field "${field}" has its old value again.`);
  exit(1);
}
console.log(`${space}: the field "${field}" has a new value`);
exit(0);
