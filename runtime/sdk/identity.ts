/** Users, roles and tokens of a server: `client.users`, `client.roles`, `client.tokens`. */
import type { Permission } from "../contract/permissions.js";
import type { Token } from "../contract/tokens.js";
import type { Role, User } from "../contract/users.js";
import type { CallOptions, Connection } from "./connection.js";

export interface CreateTokenOptions extends CallOptions {
  readonly name: string;
  /** Whose token, by id or name; one's own when absent. */
  readonly user?: string | undefined;
  /** Limits it to these permissions. */
  readonly scope?: readonly Permission[] | undefined;
  /** Seconds until it expires; never when absent. */
  readonly ttlSeconds?: number | undefined;
}

export class Tokens {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Makes a token; its text is in `token` of the answer and nowhere else.
   * @throws SpacesError `PERMISSION_DENIED`, `USER_NOT_FOUND`
   */
  async create(options: CreateTokenOptions): Promise<Token & { readonly token: string }> {
    const { signal, timeoutMs, scope, ttlSeconds, ...rest } = options;
    const input = {
      ...rest,
      ...(scope === undefined ? {} : { scope: [...scope] }),
      ...(ttlSeconds === undefined ? {} : { expiresInMs: ttlSeconds * 1000 }),
    };
    return await this.#connection.call((client, call) => client.tokens.create(input, call), {
      signal,
      timeoutMs,
    });
  }

  /** One's own tokens, or those of a user. @throws SpacesError `PERMISSION_DENIED` */
  async list(options: CallOptions & { readonly user?: string | undefined } = {}): Promise<Token[]> {
    const { signal, timeoutMs, ...rest } = options;
    const { items } = await this.#connection.call(
      (client, call) => client.tokens.list(rest, call),
      {
        signal,
        timeoutMs,
      },
    );
    return items;
  }

  /** Revokes a token and all that were made with it. @throws SpacesError `TOKEN_NOT_FOUND` */
  async revoke(token: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call((client, call) => client.tokens.revoke({ token }, call), options);
  }
}

export class Users {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** @throws SpacesError `USER_EXISTS`, `ROLE_NOT_FOUND` */
  async create(
    name: string,
    options: CallOptions & { readonly roles?: readonly string[] | undefined } = {},
  ): Promise<User> {
    const { signal, timeoutMs, roles, ...rest } = options;
    const input = { ...rest, name, ...(roles === undefined ? {} : { roles: [...roles] }) };
    return await this.#connection.call((client, call) => client.users.create(input, call), {
      signal,
      timeoutMs,
    });
  }

  /** @throws SpacesError `USER_NOT_FOUND` */
  async get(user: string, options: CallOptions = {}): Promise<User> {
    return await this.#connection.call((client, call) => client.users.get({ user }, call), options);
  }

  async list(options: CallOptions = {}): Promise<User[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.users.list({}, call),
      options,
    );
    return items;
  }

  /**
   * Changes a user. Tokens of a disabled one are refused.
   * @throws SpacesError `USER_NOT_FOUND`, `ROLE_NOT_FOUND`, `CONFLICT` for the last administrator
   */
  async update(
    user: string,
    change: CallOptions & {
      readonly roles?: readonly string[] | undefined;
      readonly disabled?: boolean | undefined;
    },
  ): Promise<User> {
    const { signal, timeoutMs, roles, ...rest } = change;
    const input = { ...rest, user, ...(roles === undefined ? {} : { roles: [...roles] }) };
    return await this.#connection.call((client, call) => client.users.update(input, call), {
      signal,
      timeoutMs,
    });
  }

  /** Deletes a user without spaces. @throws SpacesError `USER_NOT_FOUND`, `CONFLICT` */
  async delete(user: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call((client, call) => client.users.delete({ user }, call), options);
  }
}

export class Roles {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(options: CallOptions = {}): Promise<Role[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.roles.list({}, call),
      options,
    );
    return items;
  }

  /** Adds or replaces a role. @throws SpacesError `CONFLICT` for a built-in one */
  async save(
    role: string,
    permissions: readonly Permission[],
    options: CallOptions & { readonly description?: string | undefined } = {},
  ): Promise<Role> {
    const { signal, timeoutMs, ...rest } = options;
    const input = { ...rest, role, permissions: [...permissions] };
    return await this.#connection.call((client, call) => client.roles.save(input, call), {
      signal,
      timeoutMs,
    });
  }

  /** Deletes a role that nobody has. @throws SpacesError `ROLE_NOT_FOUND`, `CONFLICT` */
  async delete(role: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call((client, call) => client.roles.delete({ role }, call), options);
  }
}
