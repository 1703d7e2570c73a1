/** Puts what a tool answers, or fails with, into the form of the protocol. */
import { type CallToolResult, ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";
import { ERRORS, SpacesError, type ErrorCode as SpacesErrorCode } from "../contract/errors.js";
import { marked, visibleText } from "./foreign-text.js";
import type { ToolAnswer } from "./tools/tool.js";

/** Failures that no other arguments would mend: they are the client's business, not the model's. */
const NOT_FOR_MODELS: ReadonlySet<SpacesErrorCode> = new Set([
  "UNAUTHENTICATED",
  "SHUTTING_DOWN",
  "STORE_UNAVAILABLE",
  "INTERNAL",
]);

/** What a model can do, where the registry's suggestion is for people at a command line. */
const FOR_MODELS: Readonly<Partial<Record<SpacesErrorCode, string>>> = {
  SPACE_NOT_FOUND:
    "List the spaces with run_script: console.log(spaces.list().map((s) => s.name)).",
  SPACE_NOT_RUNNING: 'Start the space with run_script: spaces.start("name").',
  TEMPLATE_NOT_FOUND: "Read the resource spaces://templates, or use the template default.",
  SCRIPT_NOT_FOUND: "Read the resource spaces://scripts, or give the source.",
  RUN_NOT_FOUND: "Read the resource spaces://runs for the ids of runs.",
  PERMISSION_DENIED: "Tell the user which permission is missing; do not try another way.",
};

/** What a model can do about an error of this code. */
export function suggestionFor(code: SpacesErrorCode): string {
  return FOR_MODELS[code] ?? ERRORS[code].suggestion;
}

/** Characters of an error's message, and of its details. */
const LONGEST_MESSAGE = 2_000;
const LONGEST_DETAILS = 4_000;

/** The result of a tool that answered. */
export function resultOf({ text, foreign = [], structured, isError }: ToolAnswer): CallToolResult {
  const parts = [...(text === "" ? [] : [text]), ...foreign.map(marked)];
  return {
    content: [{ type: "text", text: parts.join("\n\n") }],
    structuredContent: { ...structured },
    ...(isError === true ? { isError } : {}),
  };
}

/**
 * The result of a tool that failed.
 * @throws McpError for failures that are not for the model
 */
export function failureOf(error: SpacesError): CallToolResult {
  if (NOT_FOR_MODELS.has(error.code)) throw protocolError(error);
  const { code, details } = error;
  const message = error.message.slice(0, LONGEST_MESSAGE);
  const suggestion = FOR_MODELS[code] ?? error.suggestion;
  const fits = JSON.stringify(details).length <= LONGEST_DETAILS;
  return {
    content: [
      { type: "text", text: visibleText(`${code}: ${message}\nWhat to do: ${suggestion}`) },
    ],
    structuredContent: { error: { code, message, suggestion, ...(fits ? { details } : {}) } },
    isError: true,
  };
}

/** An error of the registry as one of the protocol. */
export function protocolError(error: SpacesError): McpError {
  const isOurs = error.status >= 500;
  return new McpError(
    isOurs ? ErrorCode.InternalError : ErrorCode.InvalidParams,
    visibleText(error.message.slice(0, LONGEST_MESSAGE)),
    { code: error.code, suggestion: error.suggestion },
  );
}

/** The error of the registry that a failure is. */
export function spacesErrorOf(failure: unknown): SpacesError {
  if (SpacesError.isInstance(failure)) return failure;
  return new SpacesError("INTERNAL", undefined, { cause: failure });
}
