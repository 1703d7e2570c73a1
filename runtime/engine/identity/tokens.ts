/** Tokens: made within what their maker may do, listed, and revoked with all that they made. */
import { SpacesError } from "../../contract/errors.js";
import { newId } from "../../contract/new-id.js";
import { type Actor, ALL_PERMISSIONS, type Permission } from "../../contract/permissions.js";
import type { Token } from "../../contract/tokens.js";
import { localUserName } from "../../local-user.js";
import type { Store } from "../../store/store.js";
import type { TokenRow, UserRow } from "../../store/tables.js";
import type { CallContext } from "../context.js";
import { refused } from "./authenticator.js";
import type { Change } from "./identity.js";
import { ensureLocalUser } from "./local-user.js";
import { isExpired } from "./principals.js";
import { inOrder, requireHeld } from "./role-set.js";
import { lineageOf, revokeAll, tokenOf } from "./token-rows.js";
import { hashOfSecret, newTokenSecret } from "./token-secret.js";
import { findUser, showUser } from "./user-rows.js";

interface CreateRequest {
  readonly name: string;
  readonly user?: string | undefined;
  readonly scope?: readonly Permission[] | undefined;
  readonly expiresInMs?: number | undefined;
}

/** What is written of a new token. */
interface NewToken {
  readonly name: string;
  readonly kind: TokenRow["kind"];
  readonly user: UserRow;
  readonly scope?: Iterable<Permission> | undefined;
  readonly parent?: TokenRow | undefined;
  readonly expiresAt?: number | undefined;
}

/** A token together with its text, which is kept nowhere. */
export type MadeToken = Token & { readonly token: string };

export class Tokens {
  readonly #store: Store;
  readonly #change: Change;

  constructor(store: Store, change: Change) {
    this.#store = store;
    this.#change = change;
  }

  /**
   * Makes a token: for the caller, or with `ManageUsers` for another user. It allows no more than the
   * caller may do, and lives no longer than the token that it was made with.
   * @throws SpacesError `USER_NOT_FOUND`; `PERMISSION_DENIED`, also for scripts that were granted
   *   something; `CONFLICT` for a user who is disabled
   */
  async create(context: CallContext, request: CreateRequest): Promise<MadeToken> {
    const { actor } = context;
    if (actor.token?.kind === "script" || context.granted === true) {
      throw new SpacesError("PERMISSION_DENIED", "What was granted to a script makes no tokens.");
    }
    const own = isOwn(actor, request.user);
    if (!own) requireManager(actor);
    return await this.#change(async (store) => {
      const parent = await makerOf(store, actor);
      const user = await userFor(store, actor, own ? undefined : request.user);
      if (user.disabled === 1) {
        throw new SpacesError("CONFLICT", `The user "${user.name}" is disabled.`, {
          suggestion: "Enable the user first.",
        });
      }
      return await this.insert(store, {
        name: request.name,
        kind: "user",
        user,
        scope: await scopeFor(store, actor, user, own, request.scope),
        parent,
        expiresAt: request.expiresInMs === undefined ? undefined : Date.now() + request.expiresInMs,
      });
    });
  }

  /**
   * The tokens of the caller, or with `ManageUsers` of another user, oldest first. Who is limited to a
   * scope sees the token that it came with and what was made with it.
   * @throws SpacesError `USER_NOT_FOUND`, `PERMISSION_DENIED`
   */
  async list({ actor }: CallContext, ref: string | undefined): Promise<Token[]> {
    const own = isOwn(actor, ref);
    if (!own) requireManager(actor);
    const id = own || ref === undefined ? actor.id : (await findUser(this.#store, ref)).id;
    const rows = await this.#store
      .selectFrom("tokens")
      .innerJoin("users", "users.id", "tokens.user_id")
      .selectAll("tokens")
      .select("users.name as userName")
      .where("user_id", "=", id)
      .orderBy("tokens.id")
      .execute();
    const seen = await visibleTo(this.#store, actor);
    return rows
      .filter((row) => seen === undefined || seen.has(row.id))
      .map(({ userName, ...row }) => tokenOf(row, userName));
  }

  /**
   * Revokes a token and all that were made with it. One that is revoked already stays so.
   * @throws SpacesError `TOKEN_NOT_FOUND`, also for a token that the caller may not see
   */
  async revoke({ actor }: CallContext, id: string): Promise<void> {
    await this.#change(async (store) => {
      const row = await store
        .selectFrom("tokens")
        .select("user_id")
        .where("id", "=", id)
        .executeTakeFirst();
      const seen = await visibleTo(store, actor);
      const may =
        row !== undefined &&
        (actor.permissions.has("ManageUsers") || row.user_id === actor.id) &&
        (seen === undefined || seen.has(id));
      if (!may) throw new SpacesError("TOKEN_NOT_FOUND", `There is no token "${id}".`);
      await revokeAll(store, id);
    });
  }

  /**
   * Makes the token of a script that is about to run, with what the caller's context allows.
   * @param expiresInMs milliseconds; it expires with the caller's own token at the latest
   */
  async createForScript(
    { actor }: CallContext,
    { name, expiresInMs }: { readonly name: string; readonly expiresInMs: number },
  ): Promise<MadeToken> {
    return await this.#change(async (store) => {
      // Those whose engine died before it could take them away.
      await store
        .deleteFrom("tokens")
        .where("kind", "=", "script")
        .where("expires_at", "<=", new Date().toISOString())
        .execute();
      return await this.insert(store, {
        name,
        kind: "script",
        parent: await makerOf(store, actor),
        user: await userFor(store, actor, undefined),
        scope: actor.permissions,
        expiresAt: Date.now() + expiresInMs,
      });
    });
  }

  /** Takes a script's token away, with all that were made with it; nothing of them is kept. */
  async forget(id: string): Promise<void> {
    await this.#change(async (store) => {
      await store
        .deleteFrom("tokens")
        .where("id", "in", [...(await lineageOf(store, id))])
        .execute();
    });
  }

  /** Writes a new token; within a transaction. It expires with its parent at the latest. */
  async insert(store: Store, made: NewToken): Promise<MadeToken> {
    const secret = newTokenSecret();
    const ends = [made.expiresAt, timeOf(made.parent?.expires_at)].filter(
      (end) => end !== undefined,
    );
    const row: TokenRow = {
      id: newId("tok"),
      hash: hashOfSecret(secret),
      user_id: made.user.id,
      name: made.name,
      kind: made.kind,
      scope: made.scope === undefined ? null : JSON.stringify(inOrder(made.scope)),
      parent_id: made.parent?.id ?? null,
      created_at: new Date().toISOString(),
      expires_at: ends.length === 0 ? null : new Date(Math.min(...ends)).toISOString(),
      last_used_at: null,
      revoked_at: null,
    };
    await store.insertInto("tokens").values(row).execute();
    return { ...tokenOf(row, made.user.name), token: secret };
  }
}

function isOwn(actor: Actor, ref: string | undefined): boolean {
  return ref === undefined || ref === actor.id || ref === actor.name;
}

function requireManager(actor: Actor): void {
  if (actor.permissions.has("ManageUsers")) return;
  throw new SpacesError(
    "PERMISSION_DENIED",
    "The permission ManageUsers is needed for the tokens of others.",
  );
}

/**
 * The token that the caller came with, as it is now: one that was revoked since the call began makes
 * none any more.
 * @throws SpacesError `UNAUTHENTICATED`
 */
async function makerOf(store: Store, actor: Actor): Promise<TokenRow | undefined> {
  if (actor.token === undefined) return undefined;
  const row = await store
    .selectFrom("tokens")
    .selectAll()
    .where("id", "=", actor.token.id)
    .executeTakeFirst();
  if (row === undefined || row.revoked_at !== null) throw refused("revoked");
  if (isExpired(row)) throw refused("expired");
  return row;
}

async function userFor(store: Store, actor: Actor, ref: string | undefined): Promise<UserRow> {
  if (ref !== undefined) return await findUser(store, ref);
  if (actor.token === undefined && actor.id === localUserName()) {
    return await ensureLocalUser(store);
  }
  return await findUser(store, actor.id);
}

/** What the new token is limited to. @throws SpacesError `PERMISSION_DENIED` */
async function scopeFor(
  store: Store,
  actor: Actor,
  user: UserRow,
  own: boolean,
  requested: readonly Permission[] | undefined,
): Promise<Iterable<Permission> | undefined> {
  if (requested !== undefined) {
    requireHeld(actor.permissions, requested, "The token");
    return requested;
  }
  if (own) return actor.scope;
  const { permissions } = await showUser(store, user);
  requireHeld(actor.permissions, permissions, `A token of "${user.name}"`);
  // What the user is allowed later may be more than its maker may do.
  const mayAll = ALL_PERMISSIONS.every((permission) => actor.permissions.has(permission));
  return mayAll && actor.scope === undefined ? undefined : permissions;
}

/** The tokens that a limited caller sees; undefined where it sees all that its user may. */
async function visibleTo(store: Store, actor: Actor): Promise<Set<string> | undefined> {
  if (actor.scope === undefined || actor.permissions.has("ManageUsers")) return undefined;
  return actor.token === undefined ? new Set() : await lineageOf(store, actor.token.id);
}

function timeOf(timestamp: string | null | undefined): number | undefined {
  return timestamp === null || timestamp === undefined ? undefined : Date.parse(timestamp);
}
