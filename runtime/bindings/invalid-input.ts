/** Tells in the registry's words which values of an input are not valid. For both bindings, and MCP. */
import { ORPCError } from "@orpc/client";
import { SpacesError } from "../contract/errors.js";

interface ValidationIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
}

const MOST_SHOWN = 5;

/** The `INVALID_INPUT` that an error of oRPC's validation is; undefined for another error. */
export function invalidInputOf(error: unknown): SpacesError | undefined {
  if (!(error instanceof ORPCError) || error.code !== "BAD_REQUEST") return undefined;
  const { issues } = (error.data ?? {}) as { issues?: readonly ValidationIssue[] };
  return issues === undefined ? undefined : invalidInput(issues, error);
}

/** The `INVALID_INPUT` that names what is wrong with an input. */
export function invalidInput(issues: readonly ValidationIssue[], cause?: unknown): SpacesError {
  const described = issues.slice(0, MOST_SHOWN).map(({ path, message }) => {
    const where = (path ?? []).map((part) =>
      String(typeof part === "object" ? part.key : part).slice(0, 64),
    );
    return where.length === 0 ? message : `${where.join(".")}: ${message}`;
  });
  return new SpacesError("INVALID_INPUT", described.join("; "), {
    cause,
    details: { issues: described },
  });
}
