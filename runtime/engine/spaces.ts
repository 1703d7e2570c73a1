/** Spaces as things that are listed: create, show, list, update. Their life is in `lifecycle.ts`. */
import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/new-id.js";
import type { Space, SpaceStatus } from "../contract/spaces.js";
import type { Driver } from "../drivers/driver.js";
import { isDuplicate } from "../store/errors.js";
import type { SpaceRow } from "../store/tables.js";
import { busyOf } from "./activity.js";
import type { CallContext, EngineParts } from "./context.js";
import {
  agreedDriver,
  imageFor,
  networkFor,
  requireShell,
  requireSupported,
} from "./driver-support.js";
import type { Expiry } from "./expiry.js";
import { definitionOf, type Fields } from "./fields.js";
import { hideHostPaths } from "./host-paths.js";
import { requireUser } from "./identity/user-rows.js";
import type { Lifecycle } from "./lifecycle.js";
import { asSpacesError, Operation, rowOf } from "./operations.js";
import type { Recovery } from "./recovery.js";
import { driverSpecOf, findSpace, spaceOf, workspaceOf } from "./space-rows.js";
import type { Templates } from "./templates.js";

interface CreateRequest {
  readonly name: string;
  readonly template: string;
  readonly description?: string | undefined;
  readonly shell?: string | undefined;
  readonly driver?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly fields?: Readonly<Record<string, string>> | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly ttlMs?: number | undefined;
}

interface ListRequest {
  readonly status?: SpaceStatus | undefined;
  readonly template?: string | undefined;
  readonly driver?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly all?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

interface UpdateRequest {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly shell?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

interface SpacesParts {
  readonly parts: EngineParts;
  readonly templates: Templates;
  readonly fields: Fields;
  readonly lifecycle: Lifecycle;
  readonly expiry: Expiry;
  readonly recovery: Recovery;
}

const DEFAULT_PAGE = 100;

export class Spaces {
  readonly #parts: EngineParts;
  readonly #templates: Templates;
  readonly #fields: Fields;
  readonly #lifecycle: Lifecycle;
  readonly #expiry: Expiry;
  readonly #recovery: Recovery;

  constructor({ parts, templates, fields, lifecycle, expiry, recovery }: SpacesParts) {
    this.#parts = parts;
    this.#templates = templates;
    this.#fields = fields;
    this.#lifecycle = lifecycle;
    this.#expiry = expiry;
    this.#recovery = recovery;
  }

  /**
   * Creates a space, stopped. Its driver and its template as they are now are kept from then on.
   * @throws SpacesError `SPACE_EXISTS`, `TEMPLATE_NOT_FOUND`, `FIELD_NOT_DEFINED`,
   *   `DRIVER_UNAVAILABLE`, `UNSUPPORTED` for what the driver cannot honour
   */
  async create(context: CallContext, request: CreateRequest): Promise<Space> {
    const { spec } = await this.#templates.get(request.template);
    const driver = await this.#parts.drivers.choose(agreedDriver(spec, request.driver));
    await this.#recovery.reconcile(driver.name);
    const createdAt = new Date();
    const now = createdAt.toISOString();
    const draft: SpaceRow = {
      id: newId("spc"),
      owner: context.actor.id,
      name: request.name,
      template: spec.name,
      spec: JSON.stringify(spec),
      driver: driver.name,
      image: imageFor(spec, driver),
      access: null,
      network: networkFor(spec, driver),
      description: request.description ?? "",
      shell: request.shell ?? spec.shell ?? "bash",
      env: JSON.stringify(request.env ?? {}),
      metadata: JSON.stringify(request.metadata ?? {}),
      status: "stopped",
      revision: 0,
      setup_done: 0,
      last_error: null,
      operation: null,
      operation_holder: null,
      operation_renewed_ms: null,
      created_at: now,
      updated_at: now,
      started_at: null,
      last_active_at: null,
      expires_at:
        request.ttlMs === undefined
          ? null
          : new Date(createdAt.getTime() + request.ttlMs).toISOString(),
    };
    requireSupported(spec, draft, driver);
    await this.#insert(context, draft, request.fields ?? {});
    return await this.#finishCreate(context, draft, driver);
  }

  /** A space, by id or name. @throws SpacesError `SPACE_NOT_FOUND` */
  async get(context: CallContext, ref: string): Promise<Space> {
    return await this.show(context, await findSpace(this.#parts.store, context.actor, ref));
  }

  /**
   * The actor's own spaces, oldest first, one page of them; with `all` those of others too. Spaces
   * whose time is up are left out.
   * @throws SpacesError `PERMISSION_DENIED` for `all` without `ManageSpaces`
   */
  async list(
    context: CallContext,
    request: ListRequest,
  ): Promise<{ items: Space[]; nextCursor?: string }> {
    const limit = request.limit ?? DEFAULT_PAGE;
    let query = this.#parts.store
      .selectFrom("spaces")
      .selectAll()
      .where((where) =>
        where.or([
          where("expires_at", "is", null),
          where("expires_at", ">", new Date().toISOString()),
        ]),
      )
      .where("status", request.status === undefined ? "!=" : "=", request.status ?? "destroyed");
    if (request.all !== true) query = query.where("owner", "=", context.actor.id);
    else requireManager(context);
    if (request.template !== undefined) query = query.where("template", "=", request.template);
    if (request.driver !== undefined) query = query.where("driver", "=", request.driver);
    // Ids sort by age, so the last id of a page is where the next one begins.
    if (request.cursor !== undefined) query = query.where("id", ">", request.cursor);
    for (const [key, value] of Object.entries(request.metadata ?? {})) {
      query = query.where(
        (where) => where.fn<string>("json_extract", ["metadata", where.val(jsonPath(key))]),
        "=",
        value,
      );
    }
    const rows = await query
      .orderBy("id")
      .limit(limit + 1)
      .execute();
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      items: await this.#showAll(context, page),
      ...(rows.length > limit && last !== undefined ? { nextCursor: last.id } : {}),
    };
  }

  /**
   * Changes what is given, and nothing else.
   * @throws SpacesError `SPACE_NOT_FOUND`; `SPACE_EXISTS` for a name that is taken
   */
  async update(context: CallContext, ref: string, request: UpdateRequest): Promise<Space> {
    const row = await findSpace(this.#parts.store, context.actor, ref);
    if (request.shell !== undefined) {
      requireShell(request.shell, await this.#parts.drivers.get(row.driver));
    }
    const { env, metadata, name, description, shell } = request;
    try {
      await this.#parts.store
        .updateTable("spaces")
        .set({
          ...(name === undefined ? {} : { name }),
          ...(description === undefined ? {} : { description }),
          ...(shell === undefined ? {} : { shell }),
          ...(env === undefined ? {} : { env: JSON.stringify(env) }),
          ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
          updated_at: new Date().toISOString(),
        })
        .where("id", "=", row.id)
        .execute();
    } catch (error) {
      throw isDuplicate(error) ? nameTaken(name ?? row.name, error) : error;
    }
    return await this.get(context, row.id);
  }

  /** A row as the contract shows it. */
  async show(context: CallContext, row: SpaceRow): Promise<Space> {
    const [space] = await this.#showAll(context, [row]);
    if (space === undefined) throw new SpacesError("INTERNAL", "A space could not be shown.");
    return space;
  }

  async #showAll(context: CallContext, rows: readonly SpaceRow[]): Promise<Space[]> {
    if (rows.length === 0) return [];
    const [fields, busy] = await Promise.all([
      this.#fields.shownOf(rows),
      busyOf(this.#parts.store, rows),
    ]);
    const { dataDir } = this.#parts;
    return rows.map((row) => {
      const space = spaceOf(row, fields.get(row.id) ?? {}, busy.has(row.id) ? "busy" : "idle");
      if (context.local) return { ...space, workspace: workspaceOf(dataDir, row.id) };
      const { lastError, ...rest } = space;
      return lastError === undefined
        ? rest
        : { ...rest, lastError: hideHostPaths(lastError, dataDir) };
    });
  }

  async #insert(
    context: CallContext,
    draft: SpaceRow,
    values: Readonly<Record<string, string>>,
  ): Promise<void> {
    const fields = Object.entries(values).map(([name, value]) => ({
      definition: definitionOf(draft, name),
      value,
    }));
    try {
      await this.#parts.store.transaction().execute(async (store) => {
        await requireUser(store, context.actor);
        await store.insertInto("spaces").values(draft).execute();
        for (const { definition, value } of fields) {
          await this.#fields.write(store, draft, definition, value);
        }
      });
    } catch (error) {
      if (!isDuplicate(error)) throw error;
      if (!(await this.#expiry.freeName(draft.owner, draft.name)))
        throw nameTaken(draft.name, error);
      await this.#insert(context, draft, values);
    }
  }

  async #finishCreate(context: CallContext, draft: SpaceRow, driver: Driver): Promise<Space> {
    const operation = await Operation.claim(this.#parts.store, draft, "creating");
    if (operation === undefined) throw new SpacesError("CONFLICT");
    using _ = operation;
    try {
      await this.#lifecycle.makeDirectories(draft);
      await driver.create(driverSpecOf(this.#parts.dataDir, draft), {
        onProgress: this.#parts.onProgress,
      });
      await operation.finish({ status: "stopped" });
    } catch (cause) {
      const error = asSpacesError(cause, "DRIVER_FAILED");
      await this.#giveUp(operation, error);
      throw error;
    }
    const row = await rowOf(this.#parts.store, draft.id);
    if (row === undefined) throw new SpacesError("SPACE_NOT_FOUND");
    return await this.show(context, row);
  }

  /** What was not created must not take up its name; what cannot be removed stays to be deleted. */
  async #giveUp(operation: Operation, error: SpacesError): Promise<void> {
    try {
      await this.#lifecycle.remove(operation.row);
    } catch (cause) {
      const { message } = asSpacesError(cause, "DRIVER_FAILED");
      Object.assign(error.details, { cleanup: message });
      await operation.finish({ status: "error", lastError: error });
    }
  }
}

function requireManager({ actor }: CallContext): void {
  if (actor.permissions.has("ManageSpaces")) return;
  throw new SpacesError(
    "PERMISSION_DENIED",
    "The permission ManageSpaces is needed to list the spaces of others.",
  );
}

function nameTaken(name: string, cause: unknown): SpacesError {
  return new SpacesError("SPACE_EXISTS", `A space named "${name}" exists already.`, { cause });
}

/** SQLite's JSON path of a top-level key; the quotes make every other character plain. */
function jsonPath(key: string): string {
  return `$.${JSON.stringify(key)}`;
}
