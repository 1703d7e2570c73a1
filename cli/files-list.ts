/** `spaces files ls` and `stat`: what is in a space, printed so that no name can deceive. */
import { SpacesError } from "../runtime/contract/errors.js";
import type { FileInfo } from "../runtime/contract/files.js";
import type { Session } from "./session.js";
import { ago, byteSize, printableName, table } from "./text.js";

/** What the contract lets one page hold. */
const PAGE = 1000;

interface ListOptions {
  readonly recursive?: boolean;
  readonly glob?: string;
  readonly long?: boolean;
  readonly limit?: number;
}

/** Lists a directory page by page; a file is listed by itself. */
export async function listFiles(
  session: Session,
  space: string,
  path: string | undefined,
  { recursive, glob, long = false, limit = Number.POSITIVE_INFINITY }: ListOptions,
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const all: FileInfo[] = [];
  const collects = output.isJson || long;
  const root =
    path === undefined ? undefined : await client.files.stat({ space, path }, { signal });
  if (root !== undefined && root.type !== "directory" && glob === undefined) {
    show(session, [root], long, () => printableName(root.path));
    return;
  }
  let count = 0;
  let cursor: string | undefined;
  do {
    if (signal.aborted) throw new SpacesError("CANCELLED");
    const page = await client.files.list(
      { space, path, recursive, glob, limit: Math.min(PAGE, limit - count), cursor },
      { signal },
    );
    count += page.items.length;
    if (collects) all.push(...page.items);
    else output.data(page.items.map((file) => `${shownName(file, root?.path)}\n`).join(""));
    cursor = page.nextCursor;
  } while (cursor !== undefined && count < limit);
  if (collects) show(session, all, long, (file) => shownName(file, root?.path));
}

function show(
  { output }: Session,
  items: readonly FileInfo[],
  long: boolean,
  nameOf: (file: FileInfo) => string,
): void {
  output.result({ items }, () => {
    if (!long) return items.map((file) => `${nameOf(file)}\n`).join("");
    if (items.length === 0) return "";
    return table(
      ["MODE", "SIZE", "MODIFIED", "NAME"],
      items.map((file) => [
        modeText(file),
        String(file.size),
        ago(file.modifiedAt),
        file.target === undefined
          ? nameOf(file)
          : `${nameOf(file)} -> ${printableName(file.target)}`,
      ]),
      (title) => output.style("stdout", "bold", title),
    );
  });
}

const WORKSPACE = "/workspace";

/** The path below the listed directory. */
function shownName(file: FileInfo, root: string = WORKSPACE): string {
  const prefix = root.endsWith("/") ? root : `${root}/`;
  const name = file.path.startsWith(prefix) ? file.path.slice(prefix.length) : file.path;
  return printableName(name) + (file.type === "directory" ? "/" : "");
}

const LETTERS = { file: "-", directory: "d", symlink: "l", other: "?" } as const;

/** Type and permission bits as `ls -l` shows them, such as `-rw-r--r--`. */
function modeText({ type, mode }: FileInfo): string {
  const bits = [..."rwxrwxrwx"].map((letter, at) => ((mode >> (8 - at)) & 1 ? letter : "-"));
  return LETTERS[type] + bits.join("");
}

/** Describes one file. */
export async function statFile(
  session: Session,
  space: string,
  path: string,
  hash: boolean | undefined,
): Promise<void> {
  const client = await session.client();
  const found = await client.files.stat({ space, path, hash }, { signal: session.signal });
  const lines: [string, string | undefined][] = [
    ["path", printableName(found.path)],
    ["type", found.type],
    ["size", `${found.size} (${byteSize(found.size)})`],
    ["mode", `${found.mode.toString(8).padStart(4, "0")} (${modeText(found)})`],
    ["modified", `${found.modifiedAt} (${ago(found.modifiedAt)})`],
    ["target", found.target === undefined ? undefined : printableName(found.target)],
    ["sha256", found.sha256],
  ];
  session.output.result(found, () =>
    lines
      .flatMap(([name, value]) =>
        value === undefined ? [] : [`${`${name}:`.padEnd(10)}${value}\n`],
      )
      .join(""),
  );
}
