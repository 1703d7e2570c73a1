/** Completes the names in resource templates and in the arguments of prompts. */
import type { Client } from "../contract/contract.js";

/** Values of one answer, as the protocol has it. */
const MOST = 100;

const NAMES: Readonly<Record<string, (client: Client) => Promise<string[]>>> = {
  space: async (client) =>
    (await client.spaces.list({ limit: 1000 })).items.map(({ name }) => name),
  template: async (client) => (await client.templates.list({})).items.map(({ name }) => name),
  script: async (client) => [
    ...new Set((await client.scripts.list({})).items.map(({ name }) => name)),
  ],
  run: async (client) => (await client.runs.list({ limit: MOST })).items.map(({ id }) => id),
};

/**
 * The values that begin as given.
 * @param argument `space`, `template`, `script` or `run`; others have no values to name
 */
export async function completionsOf(
  client: Client,
  argument: string,
  begin: string,
): Promise<{ values: string[]; total: number; hasMore: boolean }> {
  const names = Object.hasOwn(NAMES, argument) ? await NAMES[argument]?.(client) : undefined;
  const fitting = (names ?? []).filter((name) => name.startsWith(begin));
  return {
    values: fitting.slice(0, MOST),
    total: fitting.length,
    hasMore: fitting.length > MOST,
  };
}
