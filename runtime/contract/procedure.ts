/** The base that every procedure of the contract is built on: its metadata and its errors. */
import { oc } from "@orpc/contract";
import { ERRORS, type ErrorCode } from "./errors.js";
import type { Permission } from "./permissions.js";

export interface ProcedureMeta {
  /** What the caller must be allowed to do; undefined where every caller may. */
  readonly permission?: Permission;
  /** Whether calls are written to the audit log. */
  readonly audited?: boolean;
  /** Whether a call may be repeated when its answer was lost. */
  readonly idempotent?: boolean;
  /** Carries a stream of bytes, which scripts cannot. */
  readonly bytes?: boolean;
}

export const procedure = oc.$meta<ProcedureMeta>({});

/** The oRPC error map of these codes, from the registry. */
export function errorsOf<C extends ErrorCode>(
  ...codes: readonly C[]
): Record<C, { status: number; message: string }> {
  const entries = codes.map((code) => {
    const { status, message } = ERRORS[code];
    return [code, { status, message }] as const;
  });
  return Object.fromEntries(entries) as Record<C, { status: number; message: string }>;
}
