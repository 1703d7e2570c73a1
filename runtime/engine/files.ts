/** Files of a space: finds the space, whatever its status, and works in its workspace on the host. */
import { contentDigest } from "../contract/content-digest.js";
import type { FileInfo } from "../contract/files.js";
import type { WorkspaceFiles } from "../workspace/workspace-files.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import { findSpace, WORKSPACE_MOUNT, workspaceOf } from "./space-rows.js";

/** What a method of a workspace's files takes, and the space to take it in. */
type Request<Method extends keyof WorkspaceFiles> = Parameters<WorkspaceFiles[Method]>[0] & {
  readonly space: string;
};

interface UploadRequest {
  readonly params: { readonly space: string };
  readonly query: Parameters<WorkspaceFiles["upload"]>[0];
  readonly body: ReadableStream;
}

interface OnPath {
  readonly space: string;
  readonly path: string;
}
type ArchiveRequest = Omit<Request<"archive">, "to"> & { readonly to: OnPath };
type ExtractRequest = Omit<Request<"extract">, "from"> & { readonly from: OnPath };

/** Every method throws `SPACE_NOT_FOUND`, and what `WorkspaceFiles` does. */
export class Files {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  async list(context: CallContext, { space, ...request }: Request<"list">, options: CallOptions) {
    return await (await this.#of(context, space)).list(request, options);
  }

  async stat(context: CallContext, { space, ...request }: Request<"stat">, options: CallOptions) {
    return await (await this.#of(context, space)).stat(request, options);
  }

  async exists(context: CallContext, { space, ...request }: Request<"exists">) {
    return { exists: await (await this.#of(context, space)).exists(request) };
  }

  async read(context: CallContext, { space, ...request }: Request<"read">, options: CallOptions) {
    return await (await this.#of(context, space)).read(request, options);
  }

  async write(
    context: CallContext,
    { space, ...request }: Request<"write">,
    options: CallOptions,
  ): Promise<FileInfo> {
    return await (await this.#of(context, space)).write(request, options);
  }

  async mkdir(context: CallContext, { space, ...request }: Request<"mkdir">): Promise<FileInfo> {
    return await (await this.#of(context, space)).mkdir(request);
  }

  async move(context: CallContext, { space, ...request }: Request<"move">): Promise<FileInfo> {
    return await (await this.#of(context, space)).move(request);
  }

  async copy(
    context: CallContext,
    { space, ...request }: Request<"copy">,
    options: CallOptions,
  ): Promise<FileInfo> {
    return await (await this.#of(context, space)).copy(request, options);
  }

  async remove(
    context: CallContext,
    { space, ...request }: Request<"remove">,
    options: CallOptions,
  ): Promise<void> {
    await (await this.#of(context, space)).remove(request, options);
  }

  /** A file's bytes with the headers that describe them. The body is to be read or cancelled. */
  async download(
    context: CallContext,
    { space, ...request }: Request<"download">,
    options: CallOptions,
  ) {
    const files = await this.#of(context, space);
    const { body, bytes, digest, modifiedAt } = await files.download(request, options);
    return {
      headers: {
        // Never a type that a browser would show: the bytes are the space's, the address is ours.
        "content-type": "application/octet-stream",
        "content-length": String(bytes),
        "content-digest": contentDigest(digest),
        "last-modified": modifiedAt.toUTCString(),
      },
      body,
    };
  }

  async upload(context: CallContext, { params, query, body }: UploadRequest, options: CallOptions) {
    return await (await this.#of(context, params.space)).upload(query, body, options);
  }

  /** Writes a directory of a space into an archive in a space, which may be another one. */
  async archive(
    context: CallContext,
    { space, to, ...request }: ArchiveRequest,
    options: CallOptions,
  ) {
    const [source, target] = await this.#both(context, space, to.space);
    return await source.archive({ ...request, to: to.path }, target, options);
  }

  /** Writes what an archive in a space holds into a directory of a space. */
  async extract(
    context: CallContext,
    { space, from, ...request }: ExtractRequest,
    options: CallOptions,
  ) {
    const [target, source] = await this.#both(context, space, from.space);
    return await target.extract({ ...request, from: from.path }, source, options);
  }

  async #both(context: CallContext, one: string, other: string) {
    return [await this.#of(context, one), await this.#of(context, other)] as const;
  }

  async #of(context: CallContext, space: string): Promise<WorkspaceFiles> {
    const { id } = await findSpace(this.#parts.store, context.actor, space);
    return await workspaceFiles(this.#parts, id);
  }
}

/** The files of a space by its id. Their code is loaded when they are first needed. */
export async function workspaceFiles(parts: EngineParts, id: string): Promise<WorkspaceFiles> {
  const { WorkspaceFiles } = await import("../workspace/workspace-files.js");
  return new WorkspaceFiles(workspaceOf(parts.dataDir, id), WORKSPACE_MOUNT);
}
