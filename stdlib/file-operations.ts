/**
 * The one table of what scripts can do with the files of spaces. `files`, `files/async` and
 * `space.files` are all made from it. Each entry is a generator of host calls (`steps.ts`).
 */
import { SpacesError } from "spaces:host";
import {
  bytesLike,
  count,
  fileMode,
  flag,
  globs,
  isPlainObject,
  kindOf,
  noMore,
  optional,
  options,
  text,
  whole,
} from "./arguments.js";
import { fromBase64, toBase64 } from "./base64.js";
import { archiveForScript, fileForScript, type HostArchive, type HostFile } from "./results.js";
import { call, type Steps } from "./steps.js";

type FileSteps = Steps<ReturnType<typeof fileForScript>>;

const onSpace = (fn: string, space: unknown) => text({ fn, parameter: "space name" }, space);
const pathOf = (fn: string, parameter: string, path: unknown) => text({ fn, parameter }, path);

/** The space and the path, which nearly every function begins with. */
const target = (fn: string, space: unknown, path: unknown) => ({
  space: onSpace(fn, space),
  path: pathOf(fn, "path", path),
});

interface Content {
  readonly content: string;
}

function* readAs(
  fn: string,
  encoding: "utf8" | "base64",
  [space, path, opts, ...rest]: readonly unknown[],
): Steps<string> {
  const range = options(fn, opts, { offset: whole, length: whole });
  noMore(fn, rest);
  const answer = yield* call<Content>("files.read", {
    ...target(fn, space, path),
    ...range,
    encoding,
  });
  return answer.content;
}

/** `read(space, path, {offset, length}?)`: a file as text. */
const read = (...params: unknown[]): Steps<string> => readAs("read", "utf8", params);

/** `read_bytes(space, path, {offset, length}?)`: a file as bytes. */
function* read_bytes(...params: unknown[]): Steps<Uint8Array> {
  return fromBase64(yield* readAs("read_bytes", "base64", params));
}

/** `read_json(space, path)`: the value that a JSON file holds. */
function* read_json(space?: unknown, path?: unknown, ...rest: unknown[]): Steps<unknown> {
  const source = yield* readAs("read_json", "utf8", [space, path, undefined, ...rest]);
  try {
    return JSON.parse(source);
  } catch (cause) {
    throw new SpacesError(
      "INVALID_INPUT",
      `${JSON.stringify(path)} holds no valid JSON: ${(cause as Error).message}.`,
      { suggestion: "Correct the file, or read it as text.", details: { path }, cause },
    );
  }
}

/** What a script writes, in the form that crosses to the host. */
function contentOf(fn: string, value: unknown) {
  if (typeof value === "string") return { content: value };
  const bytes = bytesLike({ fn, parameter: "content" }, value);
  return { content: toBase64(bytes), encoding: "base64" };
}

/** `write(space, path, content, {overwrite, parents, mode}?)`: puts a file there in one step. */
function* write(
  space?: unknown,
  path?: unknown,
  content?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): FileSteps {
  const fn = "write";
  const given = options(fn, opts, { overwrite: flag, parents: flag, mode: fileMode });
  noMore(fn, rest);
  const where = target(fn, space, path);
  const input = { ...where, ...contentOf(fn, content), ...given };
  return fileForScript(yield* call<HostFile>("files.write", input));
}

/** `append(space, path, content, {parents, mode}?)`: adds to the end of a file. */
function* append(
  space?: unknown,
  path?: unknown,
  content?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): FileSteps {
  const fn = "append";
  const given = options(fn, opts, { parents: flag, mode: fileMode });
  noMore(fn, rest);
  const where = target(fn, space, path);
  const input = { ...where, ...contentOf(fn, content), ...given, append: true };
  return fileForScript(yield* call<HostFile>("files.write", input));
}

/** `write_json(space, path, value, options?)`: writes a value as indented JSON. */
function* write_json(
  space?: unknown,
  path?: unknown,
  value?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): FileSteps {
  const fn = "write_json";
  const json: string | undefined = JSON.stringify(value, undefined, 2);
  if (json === undefined) {
    throw new SpacesError("INVALID_INPUT", `${fn}() cannot write ${kindOf(value)} as JSON.`, {
      suggestion: "Pass a value that JSON can hold.",
      details: { function: fn, parameter: "value" },
    });
  }
  const given = options(fn, opts, { overwrite: flag, parents: flag, mode: fileMode });
  noMore(fn, rest);
  const input = { ...target(fn, space, path), content: `${json}\n`, ...given };
  return fileForScript(yield* call<HostFile>("files.write", input));
}

/** What the contract lets one page hold. */
const LARGEST_PAGE = 1000;

interface Page {
  readonly items: readonly HostFile[];
  readonly nextCursor?: string;
}

/** `list(space, path?, {recursive, glob, limit}?)`: what is in a directory, ordered by path. */
function* list(
  space?: unknown,
  second?: unknown,
  third?: unknown,
  ...rest: unknown[]
): Steps<ReturnType<typeof fileForScript>[]> {
  const fn = "list";
  const byObject = isPlainObject(second);
  noMore(fn, byObject ? [third, ...rest] : rest);
  const { limit = Number.POSITIVE_INFINITY, ...query } = options(fn, byObject ? second : third, {
    recursive: flag,
    glob: text,
    limit: count,
  });
  const input = {
    space: onSpace(fn, space),
    path: byObject ? undefined : optional(text, { fn, parameter: "path" }, second),
    ...query,
  };
  const found: ReturnType<typeof fileForScript>[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = yield* call<Page>("files.list", {
      ...input,
      limit: Math.min(limit - found.length, LARGEST_PAGE),
      cursor,
    });
    for (const file of page.items) found.push(fileForScript(file));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < limit);
  return found;
}

/** `stat(space, path, {hash}?)`: one file, directory or symlink. */
function* stat(space?: unknown, path?: unknown, opts?: unknown, ...rest: unknown[]): FileSteps {
  const fn = "stat";
  const given = options(fn, opts, { hash: flag });
  noMore(fn, rest);
  return fileForScript(
    yield* call<HostFile>("files.stat", { ...target(fn, space, path), ...given }),
  );
}

/** `exists(space, path)`: whether there is such a file. */
function* exists(space?: unknown, path?: unknown, ...rest: unknown[]): Steps<boolean> {
  const fn = "exists";
  noMore(fn, rest);
  return (yield* call<{ exists: boolean }>("files.exists", target(fn, space, path))).exists;
}

/** `mkdir(space, path, {parents, mode}?)`: makes a directory. */
function* mkdir(space?: unknown, path?: unknown, opts?: unknown, ...rest: unknown[]): FileSteps {
  const fn = "mkdir";
  const given = options(fn, opts, { parents: flag, mode: fileMode });
  noMore(fn, rest);
  return fileForScript(
    yield* call<HostFile>("files.mkdir", { ...target(fn, space, path), ...given }),
  );
}

/** The space and the two paths of `move` and `copy`. */
const twoPaths = (fn: string, space: unknown, from: unknown, to: unknown) => ({
  space: onSpace(fn, space),
  from: pathOf(fn, "the path to take from", from),
  to: pathOf(fn, "the path to put it at", to),
});

/** `move(space, from, to, {overwrite}?)`: moves or renames. */
function* move(
  space?: unknown,
  from?: unknown,
  to?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): FileSteps {
  const fn = "move";
  const given = options(fn, opts, { overwrite: flag });
  noMore(fn, rest);
  const input = { ...twoPaths(fn, space, from, to), ...given };
  return fileForScript(yield* call<HostFile>("files.move", input));
}

/** `copy(space, from, to, {recursive, overwrite}?)`: copies within a space. */
function* copy(
  space?: unknown,
  from?: unknown,
  to?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): FileSteps {
  const fn = "copy";
  const given = options(fn, opts, { recursive: flag, overwrite: flag });
  noMore(fn, rest);
  const input = { ...twoPaths(fn, space, from, to), ...given };
  return fileForScript(yield* call<HostFile>("files.copy", input));
}

/** `remove(space, path, {recursive, force}?)`: removes a file or directory. */
function* remove(space?: unknown, path?: unknown, opts?: unknown, ...rest: unknown[]): Steps<true> {
  const fn = "remove";
  const given = options(fn, opts, { recursive: flag, force: flag });
  noMore(fn, rest);
  yield* call("files.remove", { ...target(fn, space, path), ...given });
  return true;
}

/** Where an archive is: a path in the same space, or a space and a path. */
function archivePlace(fn: string, space: string, place: unknown) {
  if (!isPlainObject(place)) return { space, path: pathOf(fn, "the path of the archive", place) };
  const given = options(fn, place, { space: text, path: text });
  return {
    space: given.space ?? space,
    path: pathOf(fn, "the path of the archive", given.path),
  };
}

/** `archive(space, path, to, {exclude, overwrite}?)`: a directory as a gzipped tar archive. */
function* archive(
  space?: unknown,
  path?: unknown,
  to?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): Steps<ReturnType<typeof archiveForScript>> {
  const fn = "archive";
  const given = options(fn, opts, { exclude: globs, overwrite: flag });
  noMore(fn, rest);
  const where = target(fn, space, path);
  const input = { ...where, to: archivePlace(fn, where.space, to), ...given };
  return archiveForScript(yield* call<HostArchive>("files.archive", input));
}

/** `extract(space, path, from, {overwrite, clean}?)`: what a tar archive holds, into a directory. */
function* extract(
  space?: unknown,
  path?: unknown,
  from?: unknown,
  opts?: unknown,
  ...rest: unknown[]
): Steps<ReturnType<typeof archiveForScript>> {
  const fn = "extract";
  const given = options(fn, opts, { overwrite: flag, clean: flag });
  noMore(fn, rest);
  const where = target(fn, space, path);
  const input = { ...where, from: archivePlace(fn, where.space, from), ...given };
  return archiveForScript(yield* call<HostArchive>("files.extract", input));
}

/** Everything in the `files` module; each takes the space first. */
export const fileOperations = {
  read,
  read_bytes,
  read_json,
  write,
  write_json,
  append,
  list,
  stat,
  exists,
  mkdir,
  move,
  copy,
  remove,
  delete: remove,
  archive,
  extract,
};
