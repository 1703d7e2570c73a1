/**
 * Files of a space: read and written on the host, in the space's workspace, whether the space runs
 * or not. Paths are absolute below the workspace (`/workspace/a`) or relative to it (`a`).
 */
import { z } from "zod";
import { spaceRefSchema } from "./ids.js";
import { errorsOf, procedure } from "./procedure.js";
import { pagingShape, textSchema, timestampSchema } from "./values.js";

/** Bytes that one `read` gives or one `write` takes; larger files are streamed. */
export const LARGEST_CONTENT_BYTES = 16 * 1024 * 1024;

const pathSchema = textSchema(4096).min(1, "must not be empty");

const fileSchema = z.object({
  name: z.string(),
  /** Absolute, as the space sees it. */
  path: z.string(),
  type: z.enum(["file", "directory", "symlink", "other"]),
  /** Bytes. */
  size: z.number().int(),
  /** Permission bits, such as 0o644. */
  mode: z.number().int(),
  modifiedAt: timestampSchema,
  /** Where a symlink points to, as it is written. */
  target: z.string().optional(),
});
export type FileInfo = z.infer<typeof fileSchema>;

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hexadecimal");
const modeSchema = z.number().int().min(0).max(0o777, "must be permission bits, 0o777 at most");
const encodingSchema = z.enum(["utf8", "base64"]);

const inSpace = { space: spaceRefSchema };
const onPath = z.strictObject({ ...inSpace, path: pathSchema });
const errors = errorsOf(
  "SPACE_NOT_FOUND",
  "FILE_NOT_FOUND",
  "FILE_EXISTS",
  "WRONG_FILE_TYPE",
  "DIRECTORY_NOT_EMPTY",
  "PATH_DENIED",
  "DISK_FULL",
  "CONFLICT",
);
const root = "/spaces/{space}/files" as const;

const archivedShape = {
  /** Files, directories and symlinks that were archived or extracted. */
  entries: z.number().int(),
  /** Bytes of these files. */
  bytes: z.number().int(),
  /** What could not be, such as sockets. */
  skipped: z.array(z.string()),
};

export const filesContract = {
  list: procedure
    .route({ method: "GET", path: root, summary: "List a directory, ordered by path" })
    .meta({ permission: "CopyFiles", idempotent: true })
    .errors(errors)
    .input(
      z.strictObject({
        ...inSpace,
        /** The workspace when absent. */
        path: pathSchema.optional(),
        /**
         * Also what is in the directories below, as far as a path reaches; symlinks are listed and
         * never entered.
         */
        recursive: z.boolean().optional(),
        /**
         * Only paths that match, relative to the listed directory, such as `src/*.ts`: `*` and `?`
         * within a name, `**` for any number of names, `[a-z]`, `{a,b}`. Names that begin with a dot
         * only where the pattern says the dot.
         */
        glob: textSchema(1024).min(1).optional(),
        ...pagingShape,
        // Holds a path.
        cursor: z.string().max(8192).optional(),
      }),
    )
    .output(z.object({ items: z.array(fileSchema), nextCursor: z.string().optional() })),

  stat: procedure
    .route({
      method: "GET",
      path: `${root}/stat`,
      summary: "Describe a file, not following a symlink",
    })
    .meta({ permission: "CopyFiles", idempotent: true })
    .errors(errors)
    .input(
      onPath.extend({
        /** Also hashes the content of a regular file. */
        hash: z.boolean().optional(),
      }),
    )
    .output(fileSchema.extend({ sha256: sha256Schema.optional() })),

  exists: procedure
    .route({ method: "GET", path: `${root}/exists`, summary: "Tell whether there is such a file" })
    .meta({ permission: "CopyFiles", idempotent: true })
    .errors(errors)
    .input(onPath)
    .output(z.object({ exists: z.boolean() })),

  read: procedure
    .route({
      method: "GET",
      path: `${root}/read`,
      summary: "Read a file, or a range of it, as text",
    })
    .meta({ permission: "CopyFiles", idempotent: true })
    .errors({ ...errors, ...errorsOf("LIMIT_EXCEEDED") })
    .input(
      onPath.extend({
        /** `utf8` is `INVALID_INPUT` for bytes that are no UTF-8 text. */
        encoding: encodingSchema.default("utf8"),
        /** Bytes to leave out at the start. */
        offset: z.number().int().min(0).default(0),
        /** Bytes to read at most; to the end when absent. */
        length: z.number().int().min(0).max(LARGEST_CONTENT_BYTES).optional(),
      }),
    )
    .output(
      z.object({
        content: z.string(),
        encoding: encodingSchema,
        /** Bytes of the content. */
        bytes: z.number().int(),
        /** Bytes of the whole file. */
        size: z.number().int(),
      }),
    ),

  write: procedure
    .route({ method: "PUT", path: `${root}/write`, summary: "Write a file in one step" })
    .meta({ permission: "CopyFiles", audited: true })
    .errors({ ...errors, ...errorsOf("LIMIT_EXCEEDED") })
    .input(
      onPath.extend({
        /** 16 MiB of bytes at most. */
        content: z.string().max(24 * 1024 * 1024),
        encoding: encodingSchema.default("utf8"),
        /** Adds to the end of the file, which is made where there is none. */
        append: z.boolean().optional(),
        /** `false` refuses a file that exists. */
        overwrite: z.boolean().optional(),
        /** Makes the directories above it that are missing; `true` when absent. */
        parents: z.boolean().optional(),
        /** Of a new file; 0o644 when absent. A file that exists keeps its own. */
        mode: modeSchema.optional(),
      }),
    )
    .output(fileSchema),

  mkdir: procedure
    .route({ method: "POST", path: `${root}/mkdir`, summary: "Make a directory" })
    .meta({ permission: "CopyFiles", audited: true })
    .errors(errors)
    .input(
      onPath.extend({
        /** Makes the directories above it that are missing, and takes one that exists. */
        parents: z.boolean().optional(),
        mode: modeSchema.optional(),
      }),
    )
    .output(fileSchema),

  move: procedure
    .route({ method: "POST", path: `${root}/move`, summary: "Move or rename within a space" })
    .meta({ permission: "CopyFiles", audited: true })
    .errors(errors)
    .input(
      z.strictObject({
        ...inSpace,
        from: pathSchema,
        to: pathSchema,
        /** Replaces a file that is there. */
        overwrite: z.boolean().optional(),
      }),
    )
    .output(fileSchema),

  copy: procedure
    .route({ method: "POST", path: `${root}/copy`, summary: "Copy within a space" })
    .meta({ permission: "CopyFiles", audited: true })
    .errors(errors)
    .input(
      z.strictObject({
        ...inSpace,
        from: pathSchema,
        to: pathSchema,
        /** Needed for a directory. */
        recursive: z.boolean().optional(),
        overwrite: z.boolean().optional(),
      }),
    )
    .output(fileSchema),

  remove: procedure
    .route({ method: "DELETE", path: root, summary: "Remove a file or directory" })
    .meta({ permission: "CopyFiles", audited: true })
    .errors(errors)
    .input(
      onPath.extend({
        /** Needed for a directory that is not empty. */
        recursive: z.boolean().optional(),
        /** Is content when there is nothing to remove. */
        force: z.boolean().optional(),
      }),
    )
    .output(z.object({})),

  /** The bytes of a file as a stream. Not for scripts, whose calls carry JSON. */
  download: procedure
    .route({
      method: "GET",
      path: `${root}/content`,
      summary: "Stream the bytes of a file, with their SHA-256 as content-digest",
      outputStructure: "detailed",
    })
    .meta({ permission: "CopyFiles", idempotent: true, bytes: true })
    .errors(errors)
    .input(
      onPath.extend({
        offset: z.number().int().min(0).default(0),
        /** Bytes at most; to the end when absent. */
        length: z.number().int().min(0).optional(),
      }),
    )
    .output(
      z.object({
        headers: z.looseObject({
          "content-type": z.string(),
          /** Bytes that follow. */
          "content-length": z.string(),
          /** RFC 9530: `sha-256=:<base64>:` of the bytes that follow. */
          "content-digest": z.string(),
          "last-modified": z.string(),
        }),
        body: z.instanceof(ReadableStream),
      }),
    ),

  /** Writes a file from a stream. Not for scripts, whose calls carry JSON. */
  upload: procedure
    .route({
      method: "PUT",
      path: `${root}/content`,
      summary: "Write a file from a stream, in one step and only when its hash is right",
      inputStructure: "detailed",
    })
    .meta({ permission: "CopyFiles", audited: true, bytes: true })
    .errors({ ...errors, ...errorsOf("HASH_MISMATCH") })
    .input(
      z.strictObject({
        params: z.strictObject({ space: spaceRefSchema }),
        query: z.strictObject({
          path: pathSchema,
          /** Refuses content with another hash; the file that was there stays. */
          sha256: sha256Schema.optional(),
          overwrite: z.boolean().optional(),
          parents: z.boolean().optional(),
          mode: modeSchema.optional(),
        }),
        headers: z.looseObject({}).optional(),
        body: z.instanceof(ReadableStream),
      }),
    )
    .output(fileSchema.extend({ sha256: sha256Schema })),

  archive: procedure
    .route({
      method: "POST",
      path: `${root}/archive`,
      summary: "Write a directory of a space into a gzipped tar archive in a space",
    })
    .meta({ permission: "CopyFiles", audited: true })
    .errors({ ...errors, ...errorsOf("LIMIT_EXCEEDED") })
    .input(
      z.strictObject({
        ...inSpace,
        /** The directory; the workspace when absent. */
        path: pathSchema.optional(),
        to: onPath,
        /** Paths to leave out, as globs relative to the directory. */
        exclude: z.array(textSchema(1024).min(1)).max(100).default([]),
        overwrite: z.boolean().default(false),
      }),
    )
    .output(
      z.object({
        path: z.string(),
        /** Bytes of the archive. */
        size: z.number().int(),
        sha256: sha256Schema,
        ...archivedShape,
      }),
    ),

  extract: procedure
    .route({
      method: "POST",
      path: `${root}/extract`,
      summary: "Write what a tar archive in a space holds into a directory of a space",
    })
    .meta({ permission: "CopyFiles", audited: true })
    .errors({ ...errors, ...errorsOf("LIMIT_EXCEEDED") })
    .input(
      z.strictObject({
        ...inSpace,
        /** The directory, made where it is missing; the workspace when absent. */
        path: pathSchema.optional(),
        from: onPath,
        /** Replaces files that are there. */
        overwrite: z.boolean().default(false),
        /** Removes what is in the directory first. */
        clean: z.boolean().default(false),
      }),
    )
    .output(z.object(archivedShape)),
};
