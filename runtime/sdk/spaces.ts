/** Spaces as programs create and find them: `client.spaces`. */
import type { Space as SpaceData, SpaceStatus } from "../contract/spaces.js";
import { type CallOptions, type Connection, limited } from "./connection.js";
import { ConflictError, NotFoundError, sdkError } from "./errors.js";
import { itemsOf, type Page, pageOf } from "./pages.js";
import { type Metadata, Space, textsOf } from "./space.js";
import { newSpaceName } from "./space-names.js";
import { checkStatus } from "./space-status.js";

export interface CreateSpaceOptions extends CallOptions {
  /** Lower-case letters, digits and hyphens; a readable one is made when absent. */
  readonly name?: string | undefined;
  /** `default` when absent. */
  readonly template?: string | undefined;
  readonly description?: string | undefined;
  /** Shell of its command lines; the template's when absent. */
  readonly shell?: SpaceData["shell"] | undefined;
  /** Where it lives; the template's, else the client's, else the best that is usable. */
  readonly driver?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Values of the fields that the template defines. */
  readonly fields?: Readonly<Record<string, string>> | undefined;
  readonly metadata?: Metadata | undefined;
  /** Seconds until the space is deleted by itself; never when absent. */
  readonly ttlSeconds?: number | undefined;
  /** `false` leaves it stopped. */
  readonly start?: boolean | undefined;
}

export interface ListSpacesOptions extends IterateSpacesOptions {
  /** How many at most; 100 when absent. */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

export interface IterateSpacesOptions extends CallOptions {
  readonly status?: SpaceStatus | undefined;
  readonly template?: string | undefined;
  readonly driver?: string | undefined;
  /** Only spaces that carry all of these. */
  readonly metadata?: Metadata | undefined;
  /** Also the spaces of others; needs the permission `ManageSpaces`. */
  readonly all?: boolean | undefined;
}

/** What other products have, and later versions will. */
const LATER = ["policy", "policyOverrides", "capabilities"] as const;
/** How often another name is tried when a generated one is taken. */
const NAME_TRIES = 5;

export class Spaces {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Creates a space and starts it. What cannot be started is deleted again.
   * @throws SpacesError `SPACE_EXISTS`, `TEMPLATE_NOT_FOUND`, `FIELD_NOT_DEFINED`, `UNSUPPORTED`,
   *   `DRIVER_UNAVAILABLE`, `SPACE_START_FAILED`, `IMAGE_NOT_FOUND`
   */
  async create(options: CreateSpaceOptions = {}): Promise<Space> {
    for (const option of LATER) {
      if ((options as Record<string, unknown>)[option] !== undefined) {
        throw sdkError("UNSUPPORTED", `"${option}" comes with a later version of spaces.`, {
          suggestion: `Leave "${option}" out.`,
        });
      }
    }
    const { start = true, signal, timeoutMs, ...what } = options;
    const either = limited(signal, timeoutMs);
    const space = await this.#createNamed(what, { signal: either });
    if (!start) return space;
    try {
      return await space.start({ signal: either });
    } catch (error) {
      await space[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @param ref id or name @throws SpacesError `SPACE_NOT_FOUND` */
  async get(ref: string, options: CallOptions = {}): Promise<Space> {
    const found = await this.#connection.call(
      (client, call) => client.spaces.get({ space: ref }, call),
      options,
    );
    return new Space(this.#connection, found);
  }

  /** Whether there is such a space. @param ref id or name */
  async exists(ref: string, options: CallOptions = {}): Promise<boolean> {
    try {
      await this.get(ref, options);
      return true;
    } catch (error) {
      if (NotFoundError.isInstance(error)) return false;
      throw error;
    }
  }

  /**
   * A page of the spaces, oldest first: an array, with `nextCursor` where there are more.
   * @throws SpacesError `INVALID_INPUT`; `PERMISSION_DENIED` with `all`
   */
  async list(options: ListSpacesOptions = {}): Promise<Page<Space>> {
    const { signal, timeoutMs, ...filter } = options;
    const page = await this.#page(filter, { signal, timeoutMs });
    return pageOf(page, (item) => new Space(this.#connection, item));
  }

  /** All spaces, oldest first, one page at a time. */
  async *iterate(options: IterateSpacesOptions = {}): AsyncGenerator<Space, void> {
    const { signal, timeoutMs, ...filter } = options;
    const items = itemsOf((cursor) => this.#page({ ...filter, cursor }, { signal, timeoutMs }));
    for await (const item of items) yield new Space(this.#connection, item);
  }

  /** `for await (const space of client.spaces)` */
  [Symbol.asyncIterator](): AsyncGenerator<Space, void> {
    return this.iterate();
  }

  /** Changes a space. @param ref id or name @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_EXISTS` */
  async update(ref: string, change: Parameters<Space["update"]>[0]): Promise<Space> {
    return await (await this.get(ref, change)).update(change);
  }

  /**
   * Deletes a stopped space with its files.
   * @param options `force` stops a running one first
   * @throws SpacesError `SPACE_NOT_FOUND`, `SPACE_RUNNING`
   */
  async delete(
    ref: string,
    options: CallOptions & { readonly force?: boolean | undefined } = {},
  ): Promise<void> {
    const { signal, timeoutMs, ...rest } = options;
    await this.#connection.call(
      (client, call) => client.spaces.delete({ space: ref, ...rest }, call),
      { signal, timeoutMs },
    );
  }

  /**
   * Waits until a space has a status.
   * @param options `timeoutMs` to wait at most; a minute when absent
   * @throws SpacesError `SPACE_NOT_FOUND`; `CONFLICT` when it has another status by then
   */
  async wait(ref: string, status: SpaceStatus, options: CallOptions = {}): Promise<Space> {
    checkStatus(status);
    const { signal } = options;
    return await (await this.get(ref, { signal })).wait(status, options);
  }

  async #createNamed(
    { name, env, fields, metadata, ttlSeconds, ...rest }: Omit<CreateSpaceOptions, "start">,
    options: CallOptions,
  ): Promise<Space> {
    const input = {
      ...rest,
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(fields === undefined ? {} : { fields: { ...fields } }),
      ...(metadata === undefined ? {} : { metadata: textsOf(metadata) }),
      ...(ttlSeconds === undefined ? {} : { ttlMs: ttlSeconds * 1000 }),
    };
    for (let tries = 1; ; tries++) {
      const named = { ...input, name: name ?? newSpaceName() };
      try {
        const created = await this.#connection.call(
          (client, call) => client.spaces.create(named, call),
          options,
        );
        return new Space(this.#connection, created);
      } catch (error) {
        const isTaken = ConflictError.isInstance(error) && error.code === "SPACE_EXISTS";
        if (!isTaken || name !== undefined || tries >= NAME_TRIES) throw error;
      }
    }
  }

  async #page(
    { metadata, ...filter }: Omit<ListSpacesOptions, keyof CallOptions>,
    options: CallOptions,
  ) {
    checkStatus(filter.status);
    const input = { ...filter, ...(metadata === undefined ? {} : { metadata: textsOf(metadata) }) };
    return await this.#connection.call((client, call) => client.spaces.list(input, call), options);
  }
}
