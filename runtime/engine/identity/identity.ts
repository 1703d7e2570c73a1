/**
 * Identity: users, roles and tokens, and who a call comes from. The server authenticates through it;
 * the router hands it the calls about users, roles and tokens.
 */
import type { Actor } from "../../contract/permissions.js";
import type { Store } from "../../store/store.js";
import { Authenticator } from "./authenticator.js";
import { ensureLocalUser } from "./local-user.js";
import { Roles } from "./roles.js";
import { Tokens } from "./tokens.js";
import { Users } from "./users.js";
import { type Watch, Watcher } from "./watcher.js";

export class Identity implements Disposable {
  readonly users: Users;
  readonly roles: Roles;
  readonly tokens: Tokens;
  readonly #store: Store;
  readonly #authenticator: Authenticator;
  readonly #watcher: Watcher;

  constructor(store: Store) {
    this.#store = store;
    this.#authenticator = new Authenticator(store);
    this.#watcher = new Watcher(store);
    const change: Change = (act) => this.#change(act);
    this.users = new Users(store, change);
    this.roles = new Roles(store, change);
    this.tokens = new Tokens(store, change);
  }

  /**
   * Who a token belongs to.
   * @param secret the token's text, `spt_…`
   * @returns the actor with what it may do now: its user's roles, within the token's scope
   * @throws SpacesError `UNAUTHENTICATED` for a token that is unknown, revoked, expired, or of a user
   *   who is disabled
   */
  authenticate(secret: string): Promise<Actor> {
    return this.#authenticator.authenticate(secret);
  }

  /**
   * Makes the administrator and a token for it in a store that has no users yet. Of several processes
   * at once, one does.
   * @returns the token's text, which is kept nowhere; undefined where there are users
   */
  async bootstrap(): Promise<string | undefined> {
    return await this.#change(async (store) => {
      const known = await store.selectFrom("users").select("id").limit(1).executeTakeFirst();
      if (known !== undefined) return undefined;
      const user = await ensureLocalUser(store);
      return (await this.tokens.insert(store, { name: "first start", kind: "user", user })).token;
    });
  }

  /**
   * Watches whether an actor may go on, for calls that take long.
   * @param abort what is to be aborted; a new one when absent
   * @returns a signal that aborts, with an `UNAUTHENTICATED` error as reason, once the actor's token
   *   expires or is revoked, its user is disabled or deleted, or either loses a permission; to be
   *   disposed at the end of the call
   */
  watch(actor: Actor, abort?: AbortController): Watch {
    return this.#watcher.watch(actor, abort);
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }

  async #change<R>(act: (store: Store) => Promise<R>): Promise<R> {
    const result = await this.#store.transaction().execute(act);
    this.#authenticator.forget();
    await this.#watcher.check();
    return result;
  }
}

/** Makes a change in one transaction, and has this process heed it at once. */
export type Change = <R>(act: (store: Store) => Promise<R>) => Promise<R>;
