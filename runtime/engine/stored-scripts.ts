/** Stored scripts: kept in versions, by owner and name; a script without an owner is everybody's. */
import { createHash } from "node:crypto";
import type { Transaction } from "kysely";
import { SpacesError } from "../contract/errors.js";
import type { ScriptInputs } from "../contract/script-inputs.js";
import type { Script, ScriptVersion } from "../contract/scripts.js";
import type { Store } from "../store/store.js";
import type { ScriptVersionRow, Tables } from "../store/tables.js";
import { type CallContext, requirePermission } from "./context.js";
import { requireUser } from "./identity/user-rows.js";

/** The owner of the scripts that are everybody's. */
const EVERYBODY = "";

interface SaveRequest {
  readonly script: string;
  readonly source: string;
  readonly description?: string | undefined;
  readonly language?: Script["language"] | undefined;
  readonly kind?: Script["kind"] | undefined;
  readonly tool?: boolean | undefined;
  readonly inputs?: ScriptInputs | undefined;
  readonly global: boolean;
}

interface OneScript {
  readonly script: string;
  readonly version?: number | undefined;
  readonly global: boolean;
}

type Content = Omit<
  ScriptVersionRow,
  "owner" | "name" | "version" | "created_at" | "created_by" | "sha256"
>;

/** A version with when its script was first saved. */
type Row = ScriptVersionRow & { readonly first_saved_at: string };

export class StoredScripts {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Saves a script as its newest version; nothing is saved where it is as the newest is already.
   * @throws SpacesError `INVALID_INPUT` for an empty one; `PERMISSION_DENIED` for a global one
   */
  async save(context: CallContext, request: SaveRequest): Promise<Script> {
    if (request.source.trim() === "") {
      throw new SpacesError("INVALID_INPUT", `The script "${request.script}" is empty.`);
    }
    const shebang = request.source.startsWith("#!") && !isSandboxShebang(request.source);
    const language = request.language ?? (shebang ? "native" : "typescript");
    if (language === "native" && !request.source.startsWith("#!")) {
      throw new SpacesError("INVALID_INPUT", "A native script must start with #!.");
    }
    return await this.#change(context, request, async (transaction, owner) => {
      const before = await newest(transaction, owner, request.script);
      return {
        language,
        source: request.source,
        description: request.description ?? before?.description ?? "",
        kind: request.kind ?? before?.kind ?? "script",
        tool: Number(request.tool ?? before?.tool === 1),
        inputs:
          request.inputs === undefined ? (before?.inputs ?? null) : JSON.stringify(request.inputs),
      };
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
  async list(context: CallContext): Promise<(Script & { readonly shadowed: boolean })[]> {
    const rows = await this.#versions()
      .where("scripts.owner", "in", [EVERYBODY, context.actor.id])
      .whereRef("script_versions.version", "=", "scripts.version")
      .orderBy("scripts.name")
      .orderBy("scripts.owner", "desc")
      .execute();
    const own = new Set(rows.filter(({ owner }) => owner !== EVERYBODY).map(({ name }) => name));
    return rows.map((row) => ({
      ...scriptOf(row),
      shadowed: row.owner === EVERYBODY && own.has(row.name),
    }));
  }

  /** The versions of a script, the newest first. @throws SpacesError `SCRIPT_NOT_FOUND` */
  async history(context: CallContext, { script, global }: OneScript): Promise<ScriptVersion[]> {
    const current = await this.#find(context, script, global);
    if (current === undefined) throw notFound(script);
    const rows = await this.#versions()
      .where("scripts.owner", "=", current.owner)
      .where("scripts.name", "=", current.name)
      .orderBy("script_versions.version", "desc")
      .execute();
    return rows.map((row) => ({
      ...scriptOf(row),
      createdAt: row.created_at,
      createdBy: row.created_by,
      size: Buffer.byteLength(row.source),
      isCurrent: row.version === current.version,
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
    return await this.#change(context, request, async (transaction, owner) => {
      const current = await newest(transaction, owner, script);
      if (current === undefined) throw notFound(script);
      const version = request.version ?? current.version - 1;
      const { description, language, kind, tool, inputs, source } =
        (await versionOf(transaction, owner, script, version)) ?? raise(notFound(script, version));
      return { description, language, kind, tool, inputs, source };
    });
  }

  /** Deletes a script with its versions. @throws SpacesError `SCRIPT_NOT_FOUND`, `PERMISSION_DENIED` */
  async delete(context: CallContext, { script, global }: OneScript): Promise<void> {
    const { numDeletedRows } = await this.#store
      .deleteFrom("scripts")
      .where("owner", "=", ownerToChange(context, global))
      .where("name", "=", script)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw notFound(script);
  }

  /** Adds a version that is made within the transaction, unless nothing would change. */
  async #change(
    context: CallContext,
    { script: name, global }: { readonly script: string; readonly global: boolean },
    make: (transaction: Transaction<Tables>, owner: string) => Promise<Content>,
  ): Promise<Script> {
    const owner = ownerToChange(context, global);
    return await this.#store.transaction().execute(async (transaction) => {
      await requireUser(transaction, context.actor);
      const content = await make(transaction, owner);
      const before = await newest(transaction, owner, name);
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
    const query = this.#versions()
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

  #versions() {
    return versionsIn(this.#store);
  }
}

function versionsIn(store: Store | Transaction<Tables>) {
  return store
    .selectFrom("scripts")
    .innerJoin("script_versions", (join) =>
      join
        .onRef("script_versions.owner", "=", "scripts.owner")
        .onRef("script_versions.name", "=", "scripts.name"),
    )
    .selectAll("script_versions")
    .select("scripts.created_at as first_saved_at");
}

async function newest(
  transaction: Transaction<Tables>,
  owner: string,
  name: string,
): Promise<Row | undefined> {
  return await versionsIn(transaction)
    .where("scripts.owner", "=", owner)
    .where("scripts.name", "=", name)
    .whereRef("script_versions.version", "=", "scripts.version")
    .executeTakeFirst();
}

async function versionOf(
  transaction: Transaction<Tables>,
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

/** A shebang that names this runtime makes a script executable on the host; it is no native one. */
function isSandboxShebang(source: string): boolean {
  return /^#!.*\bspaces\b/.test(source);
}

function scriptOf(row: Row): Script {
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
    source: row.source,
    createdAt: row.first_saved_at,
    updatedAt: row.created_at,
  };
}

function notFound(name: string, version?: number): SpacesError {
  const of = version === undefined ? "" : ` with a version ${version}`;
  return new SpacesError("SCRIPT_NOT_FOUND", `There is no script "${name}"${of}.`);
}

function raise(error: SpacesError): never {
  throw error;
}
