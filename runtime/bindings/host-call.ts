/** Answers the calls of sandboxed scripts from a binding's client. */
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import type { HostCall } from "../interpreter/types.js";

type Procedure = (input: unknown, options: { signal: AbortSignal }) => Promise<unknown>;

const CALL = /^([a-z]+)\.([a-zA-Z]+)$/;

/**
 * Makes the host of a script from a client.
 * @param client gives the client; called at the first host call, so that a script which makes none
 *   opens no store.
 * @returns a host whose calls are the contract's procedures by name, such as `spaces.start`; another
 *   name is `INVALID_INPUT`.
 */
export function hostCallFor(client: () => Promise<Client>): HostCall {
  return async (name, input, { signal }) => {
    const [, domain, action] = CALL.exec(name) ?? [];
    if (domain === undefined || action === undefined) {
      throw new SpacesError("INVALID_INPUT", `There is no host call "${name.slice(0, 80)}".`);
    }
    const [{ contract }, target] = await Promise.all([import("../contract/contract.js"), client()]);
    const known = ownProperty(ownProperty(contract, domain), action);
    if (known === undefined) {
      throw new SpacesError("INVALID_INPUT", `There is no host call "${name.slice(0, 80)}".`);
    }
    const procedures = target[domain as keyof Client] as unknown as Record<string, Procedure>;
    return procedures[action]?.(input, { signal });
  };
}

function ownProperty(object: unknown, key: string): unknown {
  if (typeof object !== "object" || object === null || !Object.hasOwn(object, key)) {
    return undefined;
  }
  return (object as Record<string, unknown>)[key];
}
