/** The fields of a space, as programs reach them: `space.fields`. */
import type { Field } from "../contract/fields.js";
import type { CallOptions, Connection } from "./connection.js";

export class SpaceFields {
  readonly #connection: Connection;
  readonly #space: string;

  constructor(connection: Connection, space: string) {
    this.#connection = connection;
    this.#space = space;
  }

  /** The value in clear, also of a secret field. @throws SpacesError `FIELD_NOT_DEFINED` */
  async get(field: string, options: CallOptions = {}): Promise<string> {
    const { value } = await this.#connection.call(
      (client, call) => client.fields.get({ space: this.#space, field }, call),
      options,
    );
    return value;
  }

  /** @throws SpacesError `FIELD_NOT_DEFINED` */
  async set(field: string, value: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.fields.set({ space: this.#space, field, value }, call),
      options,
    );
  }

  /** All fields that the template defines; secret ones that are set show as `***`. */
  async list(options: CallOptions = {}): Promise<Field[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.fields.list({ space: this.#space }, call),
      options,
    );
    return items;
  }
}
