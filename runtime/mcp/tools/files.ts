/** The tool `files`: looks at the files of a space, and changes nothing. */
import { z } from "zod";
import { SpacesError } from "../../contract/errors.js";
import type { FileInfo } from "../../contract/files.js";
import { spaceRefSchema } from "../../contract/ids.js";
import { FOREIGN_KEY } from "../foreign-text.js";
import { budgetShape, defineTool, READS, type ToolAnswer, type ToolCall } from "./tool.js";

const input = z.strictObject({
  action: z.enum(["read", "list", "stat"]),
  space: spaceRefSchema.describe("Name or id of the space; it need not run."),
  path: z
    .string()
    .min(1)
    .max(4096)
    .default("/workspace")
    .describe("Below /workspace, or relative to it."),
  offset: z.number().int().min(0).default(0).describe("read: bytes to leave out at the start."),
  encoding: z
    .enum(["utf8", "base64"])
    .default("utf8")
    .describe("read: base64 for what is no text."),
  recursive: z.boolean().default(false).describe("list: also what is in directories below."),
  glob: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe("list: only matches, such as `src/**/*.ts`."),
  limit: z.number().int().min(1).max(1000).default(200).describe("list: entries at most."),
  cursor: z.string().max(8192).optional().describe("list: next_cursor of the answer before."),
  ...budgetShape,
});

const entrySchema = z.object({
  path: z.string(),
  type: z.string(),
  size: z.number(),
  modified_at: z.string(),
  mode: z.string(),
  target: z.string().optional(),
});

export const files = defineTool({
  name: "files",
  title: "Look at files of a space",
  description:
    "Read a text file (or base64), list a directory (recursively, by glob), or stat a path, in the workspace of a space. Changes nothing; change_files does.",
  annotations: READS,
  permission: "CopyFiles",
  input,
  output: z.object({
    size: z.number().optional().describe("Bytes of the whole file."),
    next_offset: z.number().optional().describe("read: where the rest begins."),
    next_cursor: z.string().optional().describe("list: gives the rest."),
    sha256: z.string().optional(),
    [FOREIGN_KEY]: z.object({
      content: z.string().optional(),
      entries: z.array(entrySchema).optional(),
    }),
  }),
  run: async (request, call) => {
    switch (request.action) {
      case "read":
        return await read(request, call);
      case "list":
        return await list(request, call);
      case "stat":
        return await stat(request, call);
    }
  },
});

type Request = z.output<typeof input>;

async function read(request: Request, { client, signal }: ToolCall): Promise<ToolAnswer> {
  const { space, path, offset, encoding, max_chars } = request;
  // Four characters of base64 stand for three bytes; a character of text takes one byte or more.
  const length = encoding === "base64" ? Math.floor(max_chars / 4) * 3 : max_chars;
  const part = await client.files.read(
    { space, path, offset, length, encoding: "base64" },
    { signal },
  );
  const bytes = Buffer.from(part.content, "base64");
  const whole =
    encoding === "base64" ? bytes : wholeCharacters(bytes, offset + bytes.length < part.size);
  const content = encoding === "base64" ? part.content : textOf(whole, path);
  const next = offset + whole.length;
  const isMore = next < part.size && whole.length > 0;
  return {
    text: `Bytes ${offset} to ${next} of ${part.size}.${isMore ? ` There is more: read on with offset ${next}.` : ""}`,
    foreign: [{ what: "content of the file", text: content }],
    structured: {
      size: part.size,
      ...(isMore ? { next_offset: next } : {}),
      [FOREIGN_KEY]: { content },
    },
  };
}

async function list(request: Request, { client, signal }: ToolCall): Promise<ToolAnswer> {
  const { space, path, recursive, glob, limit, cursor, max_chars } = request;
  const { items, nextCursor } = await client.files.list(
    {
      space,
      path,
      recursive,
      limit,
      ...(glob === undefined ? {} : { glob }),
      ...(cursor === undefined ? {} : { cursor }),
    },
    { signal },
  );
  const entries = items.map(entryOf);
  const lines = entries.map(lineOf);
  const shown = fitting(lines, max_chars);
  const isCut = shown < lines.length;
  const more = isCut
    ? ` Only ${shown} are shown: narrow it with path or glob, or set a lower limit.`
    : nextCursor === undefined
      ? ""
      : " There are more: call again with next_cursor as cursor.";
  return {
    text: `${lines.length} entries.${more}${nextCursor === undefined || isCut ? "" : ` next_cursor: ${nextCursor}`}`,
    foreign: [{ what: "listing of the directory", text: lines.slice(0, shown).join("\n") }],
    structured: {
      ...(nextCursor === undefined ? {} : { next_cursor: nextCursor }),
      [FOREIGN_KEY]: { entries: entries.slice(0, shown) },
    },
  };
}

async function stat({ space, path }: Request, { client, signal }: ToolCall): Promise<ToolAnswer> {
  const { sha256, ...info } = await client.files.stat({ space, path, hash: true }, { signal });
  const entry = entryOf(info);
  return {
    text: sha256 === undefined ? "" : `SHA-256 ${sha256}.`,
    foreign: [{ what: "description of the file", text: lineOf(entry) }],
    structured: {
      size: info.size,
      ...(sha256 === undefined ? {} : { sha256 }),
      [FOREIGN_KEY]: { entries: [entry] },
    },
  };
}

type Entry = z.output<typeof entrySchema>;

/** A file in the form that the tools show. */
export function entryOf({ path, type, size, mode, modifiedAt, target }: FileInfo): Entry {
  return {
    path,
    type,
    size,
    modified_at: modifiedAt,
    mode: mode.toString(8).padStart(4, "0"),
    ...(target === undefined ? {} : { target }),
  };
}

/** A file on one line. */
export function lineOf({ path, type, size, mode, modified_at, target }: Entry): string {
  const name = JSON.stringify(path).slice(1, -1);
  const to = target === undefined ? "" : ` -> ${JSON.stringify(target).slice(1, -1)}`;
  return `${type} ${mode} ${size} ${modified_at} ${name}${to}`;
}

/** How many of the lines fit. */
function fitting(lines: readonly string[], most: number): number {
  let length = 0;
  const over = lines.findIndex((line) => {
    length += line.length + 1;
    return length > most;
  });
  return over === -1 ? lines.length : over;
}

/** The bytes without the beginning of a character whose rest comes later. */
function wholeCharacters(bytes: Buffer, goesOn: boolean): Buffer {
  if (!goesOn) return bytes;
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return needed > back ? bytes.subarray(0, -back) : bytes;
  }
  return bytes;
}

/** @throws SpacesError `INVALID_INPUT` for bytes that are no text */
function textOf(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", `"${path}" is no UTF-8 text.`, {
      cause,
      suggestion: "Read it with encoding base64, or with a program of the space.",
    });
  }
}
