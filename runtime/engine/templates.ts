/** Templates: the built-in ones, and those that users add. */
import { SpacesError } from "../contract/errors.js";
import type { Template, TemplateSpec } from "../contract/templates.js";
import type { TemplateRow } from "../store/tables.js";
import { BUILTIN_TEMPLATES } from "./builtin-templates.js";
import type { CallContext, EngineParts } from "./context.js";
import { parseTemplates } from "./template-file.js";

type ApplyResult = { name: string; result: "created" | "updated" | "unchanged" };

export class Templates {
  readonly #parts: EngineParts;
  #builtins: ReadonlyMap<string, Template> | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  async list(): Promise<Template[]> {
    const rows = await this.#parts.store
      .selectFrom("templates")
      .selectAll()
      .orderBy("name")
      .execute();
    return [...this.#builtin().values(), ...rows.map(templateOf)];
  }

  /** @throws SpacesError `TEMPLATE_NOT_FOUND` */
  async get(name: string): Promise<Template> {
    const builtin = this.#builtin().get(name);
    if (builtin !== undefined) return builtin;
    const row = await this.#parts.store
      .selectFrom("templates")
      .selectAll()
      .where("name", "=", name)
      .executeTakeFirst();
    if (row === undefined) {
      throw new SpacesError("TEMPLATE_NOT_FOUND", `There is no template "${name}".`);
    }
    return templateOf(row);
  }

  /**
   * Adds or replaces templates; all of them or none. Spaces that exist keep what they were made of.
   * @throws SpacesError `TEMPLATE_INVALID`; `CONFLICT` for the name of a built-in template
   */
  async apply(source: string, filename: string): Promise<ApplyResult[]> {
    const parsed = parseTemplates(source, filename);
    for (const { spec } of parsed) this.#refuseBuiltin(spec.name);
    const now = new Date().toISOString();
    return await this.#parts.store.transaction().execute(async (store) => {
      const results: ApplyResult[] = [];
      for (const template of parsed) {
        const { name } = template.spec;
        const spec = JSON.stringify(template.spec);
        const known = await store
          .selectFrom("templates")
          .select(["spec", "source"])
          .where("name", "=", name)
          .executeTakeFirst();
        if (known?.spec === spec && known.source === template.source) {
          results.push({ name, result: "unchanged" });
          continue;
        }
        const change = { source: template.source, spec, updated_at: now };
        await store
          .insertInto("templates")
          .values({ name, created_at: now, ...change })
          .onConflict((conflict) => conflict.column("name").doUpdateSet(change))
          .execute();
        results.push({ name, result: known === undefined ? "created" : "updated" });
      }
      return results;
    });
  }

  /** @throws SpacesError `TEMPLATE_NOT_FOUND`; `TEMPLATE_IN_USE`; `CONFLICT` for a built-in one */
  async delete({ actor }: CallContext, name: string): Promise<void> {
    this.#refuseBuiltin(name);
    await this.#parts.store.transaction().execute(async (store) => {
      const user = await store
        .selectFrom("spaces")
        .select(["name", "owner"])
        .where("template", "=", name)
        .where("status", "!=", "destroyed")
        .executeTakeFirst();
      if (user !== undefined) {
        const visible = user.owner === actor.id || actor.permissions.has("ManageSpaces");
        const by = visible ? `the space "${user.name}"` : "a space of another user";
        throw new SpacesError("TEMPLATE_IN_USE", `The template "${name}" is used by ${by}.`);
      }
      const { numDeletedRows } = await store
        .deleteFrom("templates")
        .where("name", "=", name)
        .executeTakeFirst();
      if (numDeletedRows === 0n) {
        throw new SpacesError("TEMPLATE_NOT_FOUND", `There is no template "${name}".`);
      }
    });
  }

  #refuseBuiltin(name: string): void {
    if (!this.#builtin().has(name)) return;
    throw new SpacesError("CONFLICT", `The template "${name}" is built in.`, {
      suggestion: "Give your template another name.",
    });
  }

  #builtin(): ReadonlyMap<string, Template> {
    this.#builtins ??= new Map(
      parseTemplates(BUILTIN_TEMPLATES, "built-in").map(({ spec, source }) => [
        spec.name,
        { name: spec.name, description: spec.description, builtin: true, spec, source },
      ]),
    );
    return this.#builtins;
  }
}

function templateOf(row: TemplateRow): Template {
  const spec = JSON.parse(row.spec) as TemplateSpec;
  return {
    name: row.name,
    description: spec.description,
    builtin: false,
    spec,
    source: row.source,
    updatedAt: row.updated_at,
  };
}
