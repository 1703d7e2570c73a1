/** The OpenAPI 3.1 document, made from the contract. Served at /openapi.json and shown at /docs. */
import { type OpenAPI, OpenAPIGenerator } from "@orpc/openapi";
import { contract } from "../contract/contract.js";
import { ERRORS, isErrorCode } from "../contract/errors.js";
import { VERSION } from "../version.js";
import { API_PREFIX } from "./api.js";
import { ATTACH_PROTOCOL } from "./attach-upgrade.js";
import { schemaConverter } from "./json-schema.js";

export type ApiDocument = OpenAPI.Document;
type Item = NonNullable<NonNullable<ApiDocument["paths"]>[string]>;
type Operation = NonNullable<Item["get"]>;

const METHODS = ["get", "put", "post", "delete", "patch"] as const;
const BYTES = {
  "application/octet-stream": { schema: { type: "string", format: "binary" } },
} as const;
/** What every operation can answer beside its own errors. */
const EVERYWHERE = [
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "INVALID_INPUT",
  "LIMIT_EXCEEDED",
] as const;

let made: Promise<ApiDocument> | undefined;

/**
 * The document.
 * @param publicUrl where clients reach the server; paths are relative to the document without it
 */
export async function openApiDocument(publicUrl: string | undefined): Promise<ApiDocument> {
  made ??= generate();
  const document = await made;
  if (publicUrl === undefined) return document;
  return { ...document, servers: [{ url: `${publicUrl.replace(/\/$/, "")}${API_PREFIX}` }] };
}

/** The document as JSON. */
export async function openApiText(publicUrl: string | undefined): Promise<string> {
  return JSON.stringify(await openApiDocument(publicUrl), undefined, 2);
}

async function generate(): Promise<ApiDocument> {
  const generator = new OpenAPIGenerator({ schemaConverters: [schemaConverter()] });
  const document = await generator.generate(contract, {
    info: {
      title: "spaces",
      version: VERSION,
      description:
        "Isolated spaces with their own files, processes and ports. Errors are RFC 9457 problems with a stable code.",
    },
    servers: [{ url: API_PREFIX }],
    security: [{ token: [] }],
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "spt_…" } },
      schemas: { Problem: PROBLEM_SCHEMA },
    },
  });
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of METHODS) {
      const operation = item?.[method];
      if (operation !== undefined) complete(operation, method, path);
    }
  }
  document.paths ??= {};
  document.paths["/spaces/{space}/processes/{process}/attach"] = { get: ATTACH_OPERATION };
  return document;
}

/** Adds to an operation what the contract's schemas do not tell. */
function complete(operation: Operation, method: string, path: string): void {
  operation.tags = [operation.operationId?.split(".")[0] ?? "other"];
  const codes = new Set<string>(EVERYWHERE);
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    if (Number(status) < 400) continue;
    for (const code of codesIn(response)) codes.add(code);
    delete operation.responses?.[status];
  }
  operation.responses ??= {};
  Object.assign(operation.responses, problems([...codes]));
  if (!path.endsWith("/files/content")) return;
  if (method === "put") operation.requestBody = { required: true, content: BYTES };
  else operation.responses["200"] = { description: "The bytes of the file.", content: BYTES };
}

/** The codes of the registry that an answer's schema names. */
function codesIn(value: unknown): string[] {
  if (isErrorCode(value)) return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(codesIn);
}

function problems(codes: readonly string[]): Record<string, OpenAPI.ResponseObject> {
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    if (!isErrorCode(code)) continue;
    const { status, message } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), `${code}: ${message}`]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, lines]) => [
      String(status),
      {
        description: lines.join(" "),
        content: {
          "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
        },
      },
    ]),
  );
}

const PROBLEM_SCHEMA: OpenAPI.SchemaObject = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "requestId", "suggestion", "details"],
  properties: {
    type: { type: "string", description: "A stable URN of the code." },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "What went wrong, with the thing and the value." },
    code: { type: "string", enum: Object.keys(ERRORS) },
    requestId: { type: "string" },
    suggestion: { type: "string", description: "What can be done about it." },
    details: { type: "object", additionalProperties: true },
    instance: { type: "string" },
  },
};

const text = { type: "string" } as const;
const offset = { type: "integer", minimum: 0, default: 0 } as const;

const ATTACH_OPERATION: Operation = {
  operationId: "processes.attach",
  tags: ["processes"],
  summary: "Attach to a process: its output, input and terminal over a WebSocket",
  description: `Asks for an upgrade to a WebSocket with the subprotocol ${ATTACH_PROTOCOL}. The protocol is described in docs/http.md.`,
  parameters: [
    { name: "space", in: "path", required: true, schema: text },
    { name: "process", in: "path", required: true, schema: text },
    { name: "stdoutOffset", in: "query", schema: offset },
    { name: "stderrOffset", in: "query", schema: offset },
  ],
  responses: { "101": { description: "The WebSocket is open." } },
};
