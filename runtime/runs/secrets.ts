/**
 * The secret values that a run has met, and what takes them out of its record. A value can turn out
 * to be secret after it was recorded: what a field is set to, or an argument.
 */
import { redactable } from "../redaction.js";

/** Names of environment variables whose values are not for records. */
const SECRET_NAME =
  /secret|token|passw|passphrase|pwd|credential|auth|private|(^|_)(api_?)?keys?($|_)/i;

/** The values of opened environment variables whose names look secret. */
export function secretsOfEnv(
  env: Readonly<Record<string, string | undefined>>,
  opened: readonly string[] | true | undefined,
): string[] {
  if (opened === undefined) return [];
  return Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && SECRET_NAME.test(name) && (opened === true || opened.includes(name))
      ? [value]
      : [],
  );
}

/** The values that calls of these names show to be secret, as far as input and answer tell. */
export function secretsOfCall(procedure: string, input: unknown, answer: unknown): string[] {
  switch (procedure) {
    case "fields.get":
      return at(answer, "secret") === true ? texts(at(answer, "value")) : [];
    case "fields.set":
      return at(answer, "secret") === true ? texts(at(input, "value")) : [];
    case "tokens.create":
      return texts(at(answer, "token"));
    case "spaces.create":
      return secretFields(at(input, "fields"), at(answer, "fields"));
    case "schedules.add":
    case "schedules.update":
      return texts(at(at(at(input, "notify"), "webhook"), "secret"));
    default:
      return [];
  }
}

/** The values that a call may show to be secret once it is done. */
export function suspectsOfCall(procedure: string, input: unknown): string[] {
  return procedure === "fields.set" ? texts(at(input, "value")) : [];
}

/** Of the fields that a space was made with, those that it does not show. */
function secretFields(given: unknown, shown: unknown): string[] {
  if (typeof given !== "object" || given === null) return [];
  return Object.entries(given).flatMap(([name, value]) =>
    at(shown, name) === value ? [] : texts(value),
  );
}

function at(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function texts(value: unknown): string[] {
  return typeof value === "string" ? [value] : [];
}

/** A JSON value with asterisks in place of secrets. */
export function redactJson<T>(value: T, secrets: readonly string[]): T {
  return (secrets.length === 0 ? value : redacted(value, redactable(secrets))) as T;
}

function redacted(value: unknown, secrets: readonly string[]): unknown {
  if (typeof value === "string") return redactText(value, secrets);
  if (Array.isArray(value)) return value.map((item) => redacted(item, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [redactText(key, secrets), redacted(part, secrets)]),
  );
}

/** A text with asterisks in place of secrets, as many as each has bytes in JSON. */
export function redactText(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, asterisksFor(secret)), text);
}

/** So many that a line of JSON keeps its length. */
export function asterisksFor(text: string): string {
  return "*".repeat(Buffer.byteLength(JSON.stringify(text)) - 2);
}
