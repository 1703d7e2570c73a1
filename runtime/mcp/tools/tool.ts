/** What a tool is. One file a tool defines one; `server.ts` offers them and calls them. */
import type { ToolAnnotations } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { invalidInput } from "../../bindings/invalid-input.js";
import type { Client } from "../../contract/contract.js";
import type { Permission } from "../../contract/permissions.js";
import type { ForeignText } from "../foreign-text.js";
import type { Progress } from "../progress.js";

/** What a call of a tool works with. */
export interface ToolCall {
  readonly client: Client;
  /** Fires when the client cancels the call or goes. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** What a tool answers: for models as text, for programs as a structure. */
export interface ToolAnswer {
  /** In our own words. */
  readonly text: string;
  /** What others have written, marked as such in the text. */
  readonly foreign?: readonly ForeignText[];
  /** As the tool's `output` describes it. */
  readonly structured: Readonly<Record<string, unknown>>;
  /** Whether the model should take it as a failure. */
  readonly isError?: boolean;
}

export interface Tool {
  readonly name: string;
  readonly title: string;
  /** For models: what it does and when to use it. */
  readonly description: string;
  /** JSON Schemas. */
  readonly inputSchema: ObjectSchema;
  readonly outputSchema: ObjectSchema;
  readonly annotations: ToolAnnotations;
  /** Without it the tool is not offered; undefined for tools that everybody may use. */
  readonly permission: Permission | undefined;
  /**
   * Makes a call.
   * @param args as the client sent them
   * @throws SpacesError `INVALID_INPUT` for arguments that do not fit, and what the call fails with
   */
  call(args: unknown, call: ToolCall): Promise<ToolAnswer>;
}

export interface ObjectSchema {
  readonly type: "object";
  readonly [key: string]: unknown;
}

/** A tool whose arguments are checked by a schema. */
export function defineTool<Input extends z.ZodObject>({
  input,
  output,
  run,
  ...rest
}: Omit<Tool, "inputSchema" | "outputSchema" | "call"> & {
  readonly input: Input;
  readonly output: z.ZodObject;
  readonly run: (input: z.output<Input>, call: ToolCall) => Promise<ToolAnswer>;
}): Tool {
  return {
    ...rest,
    inputSchema: schemaOf(input, "input"),
    outputSchema: outputSchemaOf(output),
    call: async (args, call) => await run(parsed(input, args), call),
  };
}

/** How many characters of output a result holds. */
export const DEFAULT_BUDGET = 25_000;
export const budgetShape = {
  max_chars: z
    .number()
    .int()
    .min(1_000)
    .max(200_000)
    .default(DEFAULT_BUDGET)
    .describe("Characters of output in the result; of more, the beginning and the end are shown."),
};

/** The longest time that a call may be given: a week. */
const LONGEST_SECONDS = 604_800;
export const timeoutShape = {
  timeout_seconds: z
    .number()
    .positive()
    .max(LONGEST_SECONDS)
    .default(60)
    .describe("It is killed after this time."),
};

/** The annotations of a tool that changes nothing. */
export const READS: ToolAnnotations = { readOnlyHint: true, openWorldHint: false };
/** The annotations of a tool that may change, and destroy, whatever it reaches. */
export const CHANGES: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: true,
};

/** The JSON Schema of a tool's arguments or result. */
export function schemaOf(schema: z.ZodObject, io: "input" | "output"): ObjectSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: "draft-7", io });
  return { ...rest, type: "object" };
}

/** What every tool answers in place of its result when it fails. */
const errorSchema = z.object({
  code: z.string(),
  message: z.string(),
  suggestion: z.string().optional(),
  details: z.looseObject({}).optional(),
});

/** The schema of a tool's results. Clients hold also the structure of a failed call against it. */
export function outputSchemaOf(output: z.ZodObject): ObjectSchema {
  const { required, properties, ...schema } = schemaOf(output, "output");
  const error = schemaOf(errorSchema, "output");
  return {
    ...schema,
    properties: { ...(properties as Record<string, unknown>), error },
    anyOf: [{ required: required ?? [] }, { required: ["error"] }],
  };
}

function parsed<Input extends z.ZodObject>(schema: Input, args: unknown): z.output<Input> {
  const result = schema.safeParse(args);
  if (result.success) return result.data;
  throw invalidInput(result.error.issues, result.error);
}
