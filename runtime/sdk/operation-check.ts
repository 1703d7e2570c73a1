/** Refuses what is no operation before a batch begins: `runOperations` calls it for each. */
import { sdkError } from "./errors.js";
import type { Operation } from "./operation-types.js";

/** What each operation may carry; another key would be dropped without a word. */
const KEYS: { readonly [T in Operation["type"]]: readonly string[] } = {
  message: ["content"],
  createFile: ["path", "content", "encoding", "overwrite"],
  readFile: ["path", "encoding"],
  editFile: ["path", "edits"],
  deleteFile: ["path"],
  shell: ["command", "cwd", "env", "timeoutMs"],
};

/**
 * Programs in JavaScript, and models, give what types do not allow.
 * @param index where it stands in its batch, for the message
 * @throws SpacesError `INVALID_INPUT`
 */
export function checkOperation(operation: unknown, index: number): void {
  const where = `operations.${index}`;
  if (typeof operation !== "object" || operation === null) {
    throw sdkError("INVALID_INPUT", `${where}: must be an operation`);
  }
  const { type, id, ...rest } = operation as Record<string, unknown>;
  if (typeof type !== "string" || !Object.hasOwn(KEYS, type)) {
    throw sdkError("INVALID_INPUT", `${where}.type: there is no operation "${String(type)}"`, {
      suggestion: `Use one of ${Object.keys(KEYS).join(", ")}.`,
    });
  }
  if (id !== undefined && typeof id !== "string") {
    throw sdkError("INVALID_INPUT", `${where}.id: must be text`);
  }
  const known = KEYS[type as Operation["type"]];
  const foreign = Object.keys(rest).find((key) => !known.includes(key));
  if (foreign !== undefined) {
    throw sdkError("INVALID_INPUT", `${where}: "${type}" has no option "${foreign}"`, {
      suggestion: `It takes ${known.join(", ")}.`,
    });
  }
  for (const key of ["path", "content", "command"].filter((name) => known.includes(name))) {
    if (typeof rest[key] !== "string") {
      throw sdkError("INVALID_INPUT", `${where}.${key}: must be text`);
    }
  }
  if (type === "editFile" && !isEdits(rest.edits)) {
    throw sdkError("INVALID_INPUT", `${where}.edits: must be a list of oldContent and newContent`);
  }
}

function isEdits(edits: unknown): boolean {
  const isEdit = (edit: unknown): boolean => {
    if (typeof edit !== "object" || edit === null) return false;
    const { oldContent, newContent } = edit as Record<string, unknown>;
    return typeof oldContent === "string" && typeof newContent === "string";
  };
  return Array.isArray(edits) && edits.length > 0 && edits.every(isEdit);
}
