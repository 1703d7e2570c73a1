/** Stored scripts: kept in versions, by owner and name; a script without an owner is everybody's. */
import { createHash } from "node:crypto";
import { sql, type Transaction } from "kysely";
import { SpacesError } from "../contract/errors.js";
import type { ScriptInputs } from "../contract/script-inputs.js";
import type { ListedScript, Script, ScriptVersion } from "../contract/scripts.js";
import { readHeader } from "../scripts/header.js";
import type { Store } from "../store/store.js";
import type { ScriptVersionRow, Tables } from "../store/tables.js";
import { type CallContext, requirePermission } from "./context.js";
import { requireUser } from "./identity/user-rows.js";
import { type Content, checkSource, contentOf, type GivenContent } from "./script-content.js";

/** The owner of the scripts that are everybody's. */
const EVERYBODY = "";

interface SaveRequest extends GivenContent {
  readonly script: string;
  readonly ifVersion?: number | undefined;
  readonly global: boolean;
}

interface OneScript {
  readonly script: string;
  readonly version?: number | undefined;
  readonly global: boolean;
}

/** A version with when its script was first saved. */
type Row = ScriptVersionRow & { readonly first_saved_at: string };

export class StoredScripts {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Saves a script as its newest version; nothing is saved where it is as the newest is already.
   * @throws SpacesError `INVALID_INPUT` for a source, header or inputs that are not valid; `CONFLICT`
   *   where another version is the newest than it was to be; `PERMISSION_DENIED` for a global one
   */
  async save(context: CallContext, request: SaveRequest): Promise<Script> {
    const { script, ifVersion } = request;
    const owner = ownerToChange(context, request.global);
    checkSource(script, request.source);
    const header = await readHeader(script, request.source);
    return await this.#change(context, owner, script, async (before) => {
      const version = before?.version ?? 0;
      if (ifVersion !== undefined && ifVersion !== version) {
        throw new SpacesError(
          "CONFLICT",
          version === 0
            ? `There is no script "${script}" any more.`
            : `The script "${script}" has been saved since, as version ${version}.`,
          { suggestion: "Look at the newest version, and save yours again." },
        );
      }
      return await contentOf(request, header, before);
    });
  }

  /**
   * Gets a script, or a version of it.
   * @throws SpacesError `SCRIPT_NOT_FOUND`
   */
  async get(context: CallContext, { script, version, global }: OneScript): Promise<Script> {
    const row = await this.#find(context, script, global, version);
    if (row === undefined) throw notFound(script, version);
    return scriptOf(row);
  }

  /** The newest version of all scripts that a caller may run, by name; its own before global ones. */
  async list(context: CallContext): Promise<ListedScript[]> {
    const rows = await withoutSource(this.#store)
      .where("scripts.owner", "in", [EVERYBODY, context.actor.id])
      .whereRef("script_versions.version", "=", "scripts.version")
      .orderBy("scripts.name")
      .orderBy("scripts.owner", "desc")
      .execute();
    const own = new Set(rows.filter(({ owner }) => owner !== EVERYBODY).map(({ name }) => name));
    return rows.map((row) => ({
      ...factsOf(row),
      shadowed: row.owner === EVERYBODY && own.has(row.name),
    }));
  }

  /** The versions of a script, the newest first. @throws SpacesError `SCRIPT_NOT_FOUND` */
  async history(context: CallContext, { script, global }: OneScript): Promise<ScriptVersion[]> {
    const current = await this.#find(context, script, global);
    if (current === undefined) throw notFound(script);
    const rows = await withoutSource(this.#store)
      .select(sql<number>`length(cast(source as blob))`.as("size"))
      .where("scripts.owner", "=", current.owner)
      .where("scripts.name", "=", current.name)
      .orderBy("script_versions.version", "desc")
      .execute();
    const newest = rows[0]?.version;
    return rows.map((row) => ({
      ...factsOf(row),
      createdAt: row.created_at,
      createdBy: row.created_by,
      size: row.size,
      isCurrent: row.version === newest,
    }));
  }

  /**
   * Saves an earlier version once more, as the newest one.
   * @param request without a version, the one before the newest is meant
   * @throws SpacesError `SCRIPT_NOT_FOUND`, also where there is no such version; `PERMISSION_DENIED`
   *   for a global one
   */
  async rollback(context: CallContext, request: OneScript): Promise<Script> {
    const { script } = request;
    const owner = ownerToChange(context, request.global);
    return await this.#change(context, owner, script, async (before, transaction) => {
      if (before === undefined) throw await this.#notOwn(transaction, owner, script);
      if (request.version === undefined && before.version === 1) {
        throw new SpacesError("SCRIPT_NOT_FOUND", `The script "${script}" has one version only.`, {
          suggestion: "List its versions with `spaces scripts history`.",
        });
      }
      const version = request.version ?? before.version - 1;
      const { description, language, kind, tool, inputs, source } =
        (await versionOf(transaction, owner, script, version)) ?? raise(notFound(script, version));
      return { description, language, kind, tool, inputs, source };
    });
  }

  /** Deletes a script with its versions. @throws SpacesError `SCRIPT_NOT_FOUND`, `PERMISSION_DENIED` */
  async delete(context: CallContext, { script, global }: OneScript): Promise<void> {
    const owner = ownerToChange(context, global);
    const { numDeletedRows } = await this.#store
      .deleteFrom("scripts")
      .where("owner", "=", owner)
      .where("name", "=", script)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw await this.#notOwn(this.#store, owner, script);
  }

  /** Tells who has no script of this name whether it is a global one. */
  async #notOwn(store: Store, owner: string, name: string): Promise<SpacesError> {
    const global =
      owner === EVERYBODY
        ? undefined
        : await store
            .selectFrom("scripts")
            .select("name")
            .where("owner", "=", EVERYBODY)
            .where("name", "=", name)
            .executeTakeFirst();
    if (global === undefined) return notFound(name);
    return new SpacesError("SCRIPT_NOT_FOUND", `You have no script "${name}" of your own.`, {
      suggestion: "Ask for the global one of this name with --global.",
    });
  }

  /** Adds a version that is made within the transaction, unless nothing would change. */
  async #change(
    context: CallContext,
    owner: string,
    name: string,
    make: (before: Row | undefined, transaction: Transaction<Tables>) => Promise<Content>,
  ): Promise<Script> {
    return await this.#store.transaction().execute(async (transaction) => {
      await requireUser(transaction, context.actor);
      const before = await newest(transaction, owner, name);
      const content = await make(before, transaction);
      if (before !== undefined && isSame(before, content)) return scriptOf(before);
      const now = new Date().toISOString();
      const version = (before?.version ?? 0) + 1;
      const { created_at } = await transaction
        .insertInto("scripts")
        .values({ owner, name, version, created_at: now, updated_at: now })
        .onConflict((conflict) =>
          conflict.columns(["owner", "name"]).doUpdateSet({ version, updated_at: now }),
        )
        .returning("created_at")
        .executeTakeFirstOrThrow();
      const row = await transaction
        .insertInto("script_versions")
        .values({
          ...content,
          ...{ owner, name, version, created_at: now, created_by: context.actor.id },
          sha256: createHash("sha256").update(content.source).digest("hex"),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return scriptOf({ ...row, first_saved_at: created_at });
    });
  }

  async #find(
    context: CallContext,
    name: string,
    global: boolean,
    version?: number,
  ): Promise<Row | undefined> {
    const query = versionsIn(this.#store)
      .where("scripts.name", "=", name)
      .where("scripts.owner", "in", global ? [EVERYBODY] : [EVERYBODY, context.actor.id])
      .orderBy("scripts.owner", "desc");
    const current = await query
      .whereRef("script_versions.version", "=", "scripts.version")
      .executeTakeFirst();
    if (current === undefined || version === undefined) return current;
    return await query
      .where("scripts.owner", "=", current.owner)
      .where("script_versions.version", "=", version)
      .executeTakeFirst();
  }
}

function joined(store: Store) {
  return store
    .selectFrom("scripts")
    .innerJoin("script_versions", (join) =>
      join
        .onRef("script_versions.owner", "=", "scripts.owner")
        .onRef("script_versions.name", "=", "scripts.name"),
    )
    .select("scripts.created_at as first_saved_at");
}

function versionsIn(store: Store) {
  return joined(store).selectAll("script_versions");
}

/** A source may have a megabyte, so that lists leave them in the store. */
function withoutSource(store: Store) {
  return joined(store).select([
    "script_versions.owner",
    "script_versions.name",
    "script_versions.version",
    "script_versions.description",
    "script_versions.language",
    "script_versions.kind",
    "script_versions.tool",
    "script_versions.inputs",
    "script_versions.sha256",
    "script_versions.created_at",
    "script_versions.created_by",
  ]);
}

async function newest(transaction: Store, owner: string, name: string): Promise<Row | undefined> {
  return await versionsIn(transaction)
    .where("scripts.owner", "=", owner)
    .where("scripts.name", "=", name)
    .whereRef("script_versions.version", "=", "scripts.version")
    .executeTakeFirst();
}

async function versionOf(
  transaction: Store,
  owner: string,
  name: string,
  version: number,
): Promise<Row | undefined> {
  return await versionsIn(transaction)
    .where("scripts.owner", "=", owner)
    .where("scripts.name", "=", name)
    .where("script_versions.version", "=", version)
    .executeTakeFirst();
}

/** Whose script is changed. @throws SpacesError `PERMISSION_DENIED` */
function ownerToChange({ actor }: CallContext, global: boolean): string {
  if (global) requirePermission(actor, "ManageGlobalScripts");
  return global ? EVERYBODY : actor.id;
}

function isSame(row: Row, content: Content): boolean {
  return Object.entries(content).every(([key, value]) => row[key as keyof Content] === value);
}

function factsOf(row: Omit<Row, "source">): Omit<Script, "source"> {
  return {
    name: row.name,
    description: row.description,
    language: row.language as Script["language"],
    kind: row.kind as Script["kind"],
    tool: row.tool === 1,
    ...(row.inputs === null ? {} : { inputs: JSON.parse(row.inputs) as ScriptInputs }),
    global: row.owner === EVERYBODY,
    version: row.version,
    sha256: row.sha256,
    createdAt: row.first_saved_at,
    updatedAt: row.created_at,
  };
}

function scriptOf(row: Row): Script {
  return { ...factsOf(row), source: row.source };
}

function notFound(name: string, version?: number): SpacesError {
  if (version === undefined) {
    return new SpacesError("SCRIPT_NOT_FOUND", `There is no script "${name}".`);
  }
  return new SpacesError("SCRIPT_NOT_FOUND", `There is no version ${version} of "${name}".`, {
    suggestion: "List its versions with `spaces scripts history`.",
  });
}

function raise(error: SpacesError): never {
  throw error;
}
