/** The tool `change_files`: writes, edits, moves and removes files of a space. */
import { z } from "zod";
import { SpacesError } from "../../contract/errors.js";
import type { FileInfo } from "../../contract/files.js";
import { spaceRefSchema } from "../../contract/ids.js";
import { FOREIGN_KEY } from "../foreign-text.js";
import { entryOf, lineOf } from "./files.js";
import { defineTool, type ToolAnswer, type ToolCall } from "./tool.js";

const path = z.string().min(1).max(4096);

const input = z.strictObject({
  action: z.enum(["write", "append", "edit", "mkdir", "move", "copy", "remove"]),
  space: spaceRefSchema.describe("Name or id of the space; it need not run."),
  path: path.describe("Below /workspace, or relative to it; of move and copy, the source."),
  to: path.optional().describe("move, copy: the destination."),
  content: z.string().max(8_388_608).optional().describe("write, append: what is written."),
  encoding: z.enum(["utf8", "base64"]).default("utf8").describe("write, append: of the content."),
  old_text: z
    .string()
    .min(1)
    .max(1_048_576)
    .optional()
    .describe("edit: text that stands in the file exactly once."),
  new_text: z.string().max(1_048_576).optional().describe("edit: what it is replaced by."),
  overwrite: z
    .boolean()
    .optional()
    .describe(
      "Whether a file that exists is replaced; write does by default, move and copy do not.",
    ),
  recursive: z.boolean().default(false).describe("copy, remove: needed for directories."),
  force: z.boolean().default(false).describe("remove: nothing to remove is no error."),
});
type Request = z.output<typeof input>;

export const changeFiles = defineTool({
  name: "change_files",
  title: "Change files of a space",
  description:
    "Write, append to, edit (replace a text that occurs once), move, copy or remove a file or directory in the workspace of a space, or make a directory. Directories above a written file are made. For many files, use run_script with the module files.",
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: false,
  },
  permission: "CopyFiles",
  input,
  output: z.object({
    action: z.string(),
    [FOREIGN_KEY]: z.object({
      entry: z.looseObject({}).optional().describe("The file as it is now."),
    }),
  }),
  run: async (request, call) => done(request, await change(request, call)),
});

async function change(
  request: Request,
  { client, signal }: ToolCall,
): Promise<FileInfo | undefined> {
  const { action, space, path, encoding, overwrite, recursive, force } = request;
  const replacing = overwrite === undefined ? {} : { overwrite };
  switch (action) {
    case "write":
    case "append":
      return await client.files.write(
        {
          space,
          path,
          content: needed(request, "content"),
          encoding,
          ...(action === "append" ? { append: true } : replacing),
        },
        { signal },
      );
    case "edit":
      return await edit(request, { client, signal });
    case "mkdir":
      return await client.files.mkdir({ space, path, parents: true }, { signal });
    case "move":
      return await client.files.move(
        { space, from: path, to: needed(request, "to"), ...replacing },
        { signal },
      );
    case "copy":
      return await client.files.copy(
        { space, from: path, to: needed(request, "to"), recursive, ...replacing },
        { signal },
      );
    case "remove":
      await client.files.remove({ space, path, recursive, force }, { signal });
      return undefined;
  }
}

/** Replaces a text in a file. Who writes the file between the reading and the writing is overwritten. */
async function edit(
  request: Request,
  { client, signal }: Pick<ToolCall, "client" | "signal">,
): Promise<FileInfo> {
  const { space, path } = request;
  const before = needed(request, "old_text");
  const after = needed(request, "new_text");
  const { content } = await client.files.read({ space, path }, { signal });
  const at = content.indexOf(before);
  if (at === -1 || content.indexOf(before, at + 1) !== -1) {
    throw new SpacesError(
      "INVALID_INPUT",
      `old_text stands ${at === -1 ? "nowhere" : "more than once"} in "${path}".`,
      {
        suggestion:
          "Read the file, and give a text that stands in it exactly once, as it is there.",
      },
    );
  }
  const edited = content.slice(0, at) + after + content.slice(at + before.length);
  return await client.files.write({ space, path, content: edited }, { signal });
}

/** @throws SpacesError `INVALID_INPUT` where the action needs a value that was not given */
function needed(request: Request, name: "content" | "to" | "old_text" | "new_text"): string {
  const value = request[name];
  if (value !== undefined) return value;
  throw new SpacesError("INVALID_INPUT", `The action ${request.action} needs ${name}.`);
}

const DONE: Readonly<Record<Request["action"], string>> = {
  write: "Written",
  append: "Appended",
  edit: "Edited",
  mkdir: "Made",
  move: "Moved",
  copy: "Copied",
  remove: "Removed",
};

function done({ action }: Request, file: FileInfo | undefined): ToolAnswer {
  const entry = file === undefined ? undefined : entryOf(file);
  return {
    text: `${DONE[action]}.`,
    foreign: entry === undefined ? [] : [{ what: "the file as it is now", text: lineOf(entry) }],
    structured: { action, [FOREIGN_KEY]: entry === undefined ? {} : { entry } },
  };
}
