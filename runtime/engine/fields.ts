/** Fields of spaces: their values, their defaults from the template, and the secret ones. */
import { SpacesError } from "../contract/errors.js";
import type { Field } from "../contract/fields.js";
import type { TemplateSpec } from "../contract/templates.js";
import { REDACTED } from "../redaction.js";
import type { Store } from "../store/store.js";
import type { SpaceRow } from "../store/tables.js";
import type { CallContext, EngineParts } from "./context.js";
import { findSpace, specOf } from "./space-rows.js";

type FieldDefinition = TemplateSpec["fields"][number];

export class Fields {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /**
   * The value of a field in clear: what was set, else the template's default, else empty.
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`
   */
  async get(
    context: CallContext,
    space: string,
    name: string,
  ): Promise<{ value: string; secret: boolean }> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    const field = definitionOf(row, name);
    const stored = (await this.#storedOf([row.id])).find((value) => value.name === name);
    const value =
      stored === undefined
        ? (field.default ?? "")
        : await this.#reveal(row.id, field, stored.value);
    return { value, secret: field.secret };
  }

  /**
   * Sets a field.
   * @returns whether the value is a secret
   * @throws SpacesError `SPACE_NOT_FOUND`, `FIELD_NOT_DEFINED`
   */
  async set(context: CallContext, space: string, name: string, value: string): Promise<boolean> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    const field = definitionOf(row, name);
    await this.write(this.#parts.store, row, field, value);
    return field.secret;
  }

  /** Writes one value, within a transaction where the caller has one. */
  async write(store: Store, row: SpaceRow, field: FieldDefinition, value: string): Promise<void> {
    const stored = field.secret
      ? await this.#parts.secrets.encrypt(value, placeOf(row.id, field.name))
      : value;
    const updatedAt = new Date().toISOString();
    await store
      .insertInto("fields")
      .values({ space_id: row.id, name: field.name, value: stored, updated_at: updatedAt })
      .onConflict((conflict) =>
        conflict
          .columns(["space_id", "name"])
          .doUpdateSet({ value: stored, updated_at: updatedAt }),
      )
      .execute();
  }

  /** All fields of a space, secret values redacted. */
  async list(context: CallContext, space: string): Promise<Field[]> {
    const row = await findSpace(this.#parts.store, context.actor, space);
    const stored = new Map(
      (await this.#storedOf([row.id])).map((field) => [field.name, field.value]),
    );
    return specOf(row).fields.map((field) => ({
      name: field.name,
      description: field.description,
      secret: field.secret,
      value: shown(field, stored.get(field.name)),
      isSet: stored.has(field.name),
    }));
  }

  /** The fields of several spaces by space id, as lists show them: secret values redacted. */
  async shownOf(rows: readonly SpaceRow[]): Promise<Map<string, Record<string, string>>> {
    const stored = new Map<string, Map<string, string>>();
    for (const field of await this.#storedOf(rows.map((row) => row.id))) {
      const values = stored.get(field.space_id) ?? new Map<string, string>();
      stored.set(field.space_id, values.set(field.name, field.value));
    }
    return new Map(
      rows.map((row) => [
        row.id,
        Object.fromEntries(
          specOf(row).fields.map((field) => [
            field.name,
            shown(field, stored.get(row.id)?.get(field.name)),
          ]),
        ),
      ]),
    );
  }

  /** The secret values of a space in clear, to take them out of captured output. */
  async secretsOf(row: SpaceRow): Promise<string[]> {
    const secret = specOf(row).fields.filter((field) => field.secret);
    if (secret.length === 0) return [];
    const stored = new Map(
      (await this.#storedOf([row.id])).map((field) => [field.name, field.value]),
    );
    const values = secret.map(async (field) => {
      const value = stored.get(field.name);
      return value === undefined ? (field.default ?? "") : await this.#reveal(row.id, field, value);
    });
    return (await Promise.all(values)).filter((value) => value !== "");
  }

  #storedOf(ids: readonly string[]) {
    return this.#parts.store
      .selectFrom("fields")
      .select(["space_id", "name", "value"])
      .where("space_id", "in", ids)
      .execute();
  }

  async #reveal(spaceId: string, field: FieldDefinition, value: string): Promise<string> {
    if (!field.secret) return value;
    return await this.#parts.secrets.decrypt(value, placeOf(spaceId, field.name));
  }
}

/**
 * The template's definition of a field.
 * @throws SpacesError `FIELD_NOT_DEFINED`
 */
export function definitionOf(row: SpaceRow, name: string): FieldDefinition {
  const { fields } = specOf(row);
  const field = fields.find((candidate) => candidate.name === name);
  if (field !== undefined) return field;
  const known = fields.map((candidate) => candidate.name).join(", ");
  throw new SpacesError(
    "FIELD_NOT_DEFINED",
    `The template "${row.template}" defines no field "${name}".`,
    known === "" ? {} : { suggestion: `Use one of its fields: ${known}.` },
  );
}

function placeOf(spaceId: string, name: string): string {
  return `${spaceId}/${name}`;
}

function shown(field: FieldDefinition, stored: string | undefined): string {
  const value = stored ?? field.default ?? "";
  return field.secret && value !== "" ? REDACTED : value;
}
