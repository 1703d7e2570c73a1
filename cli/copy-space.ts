/** A space as a place to copy files from and to. Used by `spaces cp` and `spaces files`. */
import { sha256OfDigest } from "../runtime/contract/content-digest.js";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { FileInfo } from "../runtime/contract/files.js";
import type { Content, Entry, Source, Target } from "./copy.js";
import { printableName } from "./text.js";

/** What the contract lets one page hold. */
const PAGE = 1000;

/** Files of a space, and the client that reaches them. */
export interface SpacePlace {
  readonly client: Client;
  readonly signal: AbortSignal;
  readonly space: string;
  /** Empty where the workspace itself is meant. */
  readonly path: string;
}

const labelOf = ({ space, path }: SpacePlace): string =>
  printableName(`${space}:${path || "/workspace"}`);

const below = (path: string, segments: readonly string[]): string =>
  [...(path === "" ? ["."] : [path.replace(/(?<=.)\/+$/, "")]), ...segments].join("/");

/** The last part of a path; undefined where its content is meant, as in `src/.` and `.`. */
export function lastPart(path: string): string | undefined {
  const part = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  return part === "" || part === "." || part === ".." ? undefined : part;
}

export class SpaceSource implements Source {
  readonly label: string;
  readonly name: string | undefined;
  readonly #place: SpacePlace;
  /** The root as the space names it, once it was described. */
  #root = "";

  constructor(place: SpacePlace) {
    this.#place = place;
    this.label = labelOf(place);
    this.name = lastPart(place.path);
  }

  async describe(): Promise<Entry> {
    const { client, space, path, signal } = this.#place;
    const found = await client.files.stat({ space, path: below(path, []) }, { signal });
    this.#root = found.path;
    // Whether a symlink that is named may be read is for the engine to say.
    return entryOf([], found.type === "symlink" ? { ...found, type: "file" } : found);
  }

  async *entries(): AsyncGenerator<Entry> {
    const { client, space, path, signal } = this.#place;
    const query = { space, path: below(path, []), recursive: true, limit: PAGE };
    let cursor: string | undefined;
    do {
      const page = await client.files.list({ ...query, cursor }, { signal });
      for (const file of page.items) yield entryOf(this.#segmentsOf(file.path), file);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  async open(segments: readonly string[]): Promise<Content> {
    const { client, space, path, signal } = this.#place;
    return await openDownload(client, { space, path: below(path, segments) }, signal);
  }

  #segmentsOf(path: string): string[] {
    const root = this.#root.endsWith("/") ? this.#root : `${this.#root}/`;
    if (path.startsWith(root)) return path.slice(root.length).split("/");
    throw new SpacesError(
      "PATH_DENIED",
      `${printableName(path)} was listed, and is not below ${printableName(this.#root)}.`,
    );
  }
}

export class SpaceTarget implements Target {
  readonly label: string;
  readonly #place: SpacePlace;

  constructor(place: SpacePlace) {
    this.#place = place;
    this.label = labelOf(place);
  }

  async isDirectory(): Promise<boolean> {
    const { client, space, path, signal } = this.#place;
    return await isSpaceDirectory(client, space, path, signal);
  }

  async mkdir(segments: readonly string[], mode: number | undefined): Promise<void> {
    const { client, space, path, signal } = this.#place;
    const made = below(path, segments);
    // What is copied into a directory must be able to get there.
    const writable = mode === undefined ? undefined : mode | 0o700;
    await client.files.mkdir({ space, path: made, parents: true, mode: writable }, { signal });
  }

  async write(
    segments: readonly string[],
    content: Content,
    { mode, overwrite }: { readonly mode: number | undefined; readonly overwrite: boolean },
  ): Promise<string | undefined> {
    const { client, space, path, signal } = this.#place;
    const chunks = content.chunks[Symbol.asyncIterator]();
    // Nothing is read ahead: the space asks for each chunk when it has room for it.
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = await chunks.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
      },
      { highWaterMark: 0 },
    );
    const query = { path: below(path, segments), sha256: content.sha256, overwrite, mode };
    const written = await client.files.upload({ params: { space }, query, body }, { signal });
    return written.sha256;
  }
}

/**
 * Whether a path of a space is a directory, or ends as only one does.
 * @param path empty for the workspace
 */
export async function isSpaceDirectory(
  client: Client,
  space: string,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (path === "" || path.endsWith("/")) return true;
  try {
    return (await client.files.stat({ space, path }, { signal })).type === "directory";
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code === "FILE_NOT_FOUND") return false;
    throw error;
  }
}

/**
 * Opens the bytes of a file, or of a range of it.
 * @returns the bytes, and the hash that they have to have
 */
export async function openDownload(
  client: Client,
  request: {
    readonly space: string;
    readonly path: string;
    readonly offset?: number | undefined;
    readonly length?: number | undefined;
  },
  signal: AbortSignal,
): Promise<Content> {
  const { headers, body } = await client.files.download(request, { signal });
  const reader: ReadableStreamDefaultReader<unknown> = body.getReader();
  // A stream that has failed has told so to who reads it.
  const cancel = (): Promise<void> => reader.cancel().catch(() => undefined);
  const stop = (): void => void cancel();
  signal.addEventListener("abort", stop, { once: true });
  return {
    chunks: chunksOf(reader),
    size: Number(headers["content-length"]),
    sha256: requireSha256(headers["content-digest"]),
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", stop);
      await cancel();
    },
  };
}

async function* chunksOf(reader: ReadableStreamDefaultReader<unknown>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (!(value instanceof Uint8Array)) throw new TypeError("A download gave what is no bytes.");
    yield value;
  }
}

function requireSha256(header: string): string {
  const sha256 = sha256OfDigest(header);
  if (sha256 === undefined) {
    throw new SpacesError("HASH_MISMATCH", "The download came without the SHA-256 of its bytes.");
  }
  return sha256;
}

function entryOf(segments: readonly string[], { type, size, mode }: FileInfo): Entry {
  return { segments, type, size, mode };
}
