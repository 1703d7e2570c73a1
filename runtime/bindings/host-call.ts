/** Answers the calls of sandboxed scripts from a binding's client. */
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import type { ProcedureMeta } from "../contract/procedure.js";
import type { HostCall } from "../interpreter/types.js";

type Procedure = (input: unknown, options: { signal: AbortSignal }) => Promise<unknown>;

const CALL = /^([a-z]+)\.([a-zA-Z]+)$/;

/**
 * Makes the host of a script from a client.
 * @param client gives the client; called at the first host call, so that a script which makes none
 *   opens no store.
 * @returns a host whose calls are the contract's procedures by name, such as `spaces.start`; another
 *   name is `INVALID_INPUT`, and so is a procedure that streams: calls of scripts carry JSON.
 */
export function hostCallFor(client: () => Promise<Client>): HostCall {
  return async (name, input, { signal }) => {
    const [, domain, action] = CALL.exec(name) ?? [];
    if (domain === undefined || action === undefined) {
      throw new SpacesError("INVALID_INPUT", `There is no host call "${name.slice(0, 80)}".`);
    }
    const [{ contract }, orpc, target] = await Promise.all([
      import("../contract/contract.js"),
      import("@orpc/contract"),
      client(),
    ]);
    const known = ownProperty(ownProperty(contract, domain), action);
    if (known === undefined) {
      throw new SpacesError("INVALID_INPUT", `There is no host call "${name.slice(0, 80)}".`);
    }
    if (streams(known, orpc)) {
      throw new SpacesError("INVALID_INPUT", `The host call "${name}" carries a stream.`, {
        suggestion: "Use a call that answers at once; scripts exchange JSON with the host.",
      });
    }
    const procedures = target[domain as keyof Client] as unknown as Record<string, Procedure>;
    return procedures[action]?.(input, { signal });
  };
}

/** Whether a procedure takes or gives a stream, of bytes or of events. */
function streams(
  procedure: unknown,
  { getEventIteratorSchemaDetails, isContractProcedure }: typeof import("@orpc/contract"),
): boolean {
  if (!isContractProcedure(procedure)) return false;
  const { meta, inputSchema, outputSchema } = procedure["~orpc"];
  if ((meta as ProcedureMeta).bytes === true) return true;
  return [inputSchema, outputSchema].some((schema) => getEventIteratorSchemaDetails(schema));
}

function ownProperty(object: unknown, key: string): unknown {
  if (typeof object !== "object" || object === null || !Object.hasOwn(object, key)) {
    return undefined;
  }
  return (object as Record<string, unknown>)[key];
}
