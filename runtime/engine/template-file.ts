/** Reads templates from YAML; every error names the file, line and column. */
import { type TemplateSpec, templateSpecSchema } from "../contract/templates.js";
import { parseYamlDocuments } from "./yaml-documents.js";

export interface ParsedTemplate {
  readonly spec: TemplateSpec;
  /** The YAML text of this template alone. */
  readonly source: string;
}

const MEMORY_UNITS = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 } as const;

/** The bytes of a size such as `512Mi`. */
export function parseMemory(size: string | undefined): number | undefined {
  if (size === undefined) return undefined;
  const unit = size.slice(-2) as keyof typeof MEMORY_UNITS;
  return Number(size.slice(0, -2)) * MEMORY_UNITS[unit];
}

/**
 * Parses one or more YAML documents, one template each.
 * @param filename the name that errors show
 * @throws SpacesError `TEMPLATE_INVALID` with the position of the first mistake
 */
export function parseTemplates(source: string, filename: string): ParsedTemplate[] {
  return parseYamlDocuments(source, filename, {
    noun: "template",
    schema: templateSpecSchema,
    code: "TEMPLATE_INVALID",
  }).map(({ value, source: text }) => ({ spec: value, source: text }));
}
