/** Templates, as programs reach them: `client.templates`. */
import type { Template } from "../contract/templates.js";
import type { CallOptions, Connection } from "./connection.js";

export interface AppliedTemplate {
  readonly name: string;
  readonly result: "created" | "updated" | "unchanged";
}

export class Templates {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** All templates, the built-in ones too. */
  async list(options: CallOptions = {}): Promise<Template[]> {
    const { items } = await this.#connection.call(
      (client, call) => client.templates.list({}, call),
      options,
    );
    return items;
  }

  /** @throws SpacesError `TEMPLATE_NOT_FOUND` */
  async get(template: string, options: CallOptions = {}): Promise<Template> {
    return await this.#connection.call(
      (client, call) => client.templates.get({ template }, call),
      options,
    );
  }

  /**
   * Adds or replaces templates.
   * @param source one or more YAML documents, one template each
   * @param options `filename` is the name that errors show for the text
   * @throws SpacesError `TEMPLATE_INVALID` with line and column; `CONFLICT` for a built-in one
   */
  async apply(
    source: string,
    options: CallOptions & { readonly filename?: string | undefined } = {},
  ): Promise<AppliedTemplate[]> {
    const { signal, timeoutMs, ...rest } = options;
    const { items } = await this.#connection.call(
      (client, call) => client.templates.apply({ source, ...rest }, call),
      { signal, timeoutMs },
    );
    return items;
  }

  /** @throws SpacesError `TEMPLATE_NOT_FOUND`, `TEMPLATE_IN_USE`, `CONFLICT` for a built-in one */
  async delete(template: string, options: CallOptions = {}): Promise<void> {
    await this.#connection.call(
      (client, call) => client.templates.delete({ template }, call),
      options,
    );
  }
}
