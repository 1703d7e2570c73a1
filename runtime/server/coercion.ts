/**
 * Paths and queries carry text: numbers, booleans and maps in them are told from it by the input's
 * schema. Bodies carry JSON and are taken as they are. `api.ts` uses it.
 */
import { JsonSchemaCoercer } from "@orpc/json-schema";
import type { JSONSchema } from "@orpc/openapi";
import type { AnyProcedure } from "@orpc/server";
import { schemaConverter } from "./json-schema.js";

type Coerce = (input: unknown) => unknown;

/** Makes a function that gives the input of a procedure its types. */
export function coercionOf(): (procedure: AnyProcedure, input: unknown) => Promise<unknown> {
  const converter = schemaConverter();
  const coercer = new JsonSchemaCoercer();
  const known = new WeakMap<AnyProcedure, Coerce>();

  const make = async (procedure: AnyProcedure): Promise<Coerce> => {
    const { inputSchema, route } = procedure["~orpc"];
    if (inputSchema === undefined) return (input) => input;
    const [, schema] = await converter.convert(inputSchema, { strategy: "input" });
    if (route.inputStructure === "detailed") return only(schema, ["params", "query"]);
    if (route.method === "GET") return (input) => coercer.coerce(schema, input);
    return only(
      schema,
      [...(route.path ?? "").matchAll(/\{\+?(\w+)\}/g)].map(([, name]) => name ?? ""),
    );
  };

  /** Coerces some of the properties. */
  const only = (schema: JSONSchema, names: readonly string[]): Coerce => {
    const properties = typeof schema === "object" ? (schema.properties ?? {}) : {};
    return (input) => {
      if (typeof input !== "object" || input === null) return input;
      const coerced: Record<string, unknown> = { ...input };
      for (const name of names) {
        const property = properties[name];
        if (property !== undefined && Object.hasOwn(coerced, name)) {
          coerced[name] = coercer.coerce(property, coerced[name]);
        }
      }
      return coerced;
    };
  };

  return async (procedure, input) => {
    let coerce = known.get(procedure);
    if (coerce === undefined) {
      coerce = await make(procedure);
      known.set(procedure, coerce);
    }
    return coerce(input);
  };
}
