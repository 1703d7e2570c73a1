/**
 * The resources: spaces, templates, stored scripts and runs, as a client can list, read and complete
 * them. Whatever they hold was written by others, and is marked so.
 */
import {
  McpError,
  type ReadResourceResult,
  type Resource,
  type ResourceTemplate,
} from "@modelcontextprotocol/sdk/types.js";
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import { type Address, parseAddress } from "./addresses.js";
import { FOREIGN_KEY, visibleLine } from "./foreign-text.js";
import { readLog } from "./run-log.js";
import { logUri } from "./run-to-end.js";

/** Entries of each kind that are listed; completion finds the others. */
const MOST_LISTED = 100;
const MOST_RUNS = 20;
/** Characters of a log; `run_log` gives the rest. */
const LONGEST_LOG = 200_000;
/** What the protocol answers for a resource that is not there. */
const RESOURCE_NOT_FOUND = -32_002;

const JSON_TYPE = "application/json";

export const RESOURCE_TEMPLATES: readonly (ResourceTemplate & {
  readonly permission: Permission;
})[] = [
  {
    uriTemplate: "spaces://spaces/{space}",
    name: "space",
    title: "A space",
    description: "State, template, fields and labels of a space.",
    mimeType: JSON_TYPE,
    permission: "UseSpaces",
  },
  {
    uriTemplate: "spaces://templates/{template}",
    name: "template",
    title: "A template",
    description: "What spaces are made from.",
    mimeType: JSON_TYPE,
    permission: "UseSpaces",
  },
  {
    uriTemplate: "spaces://scripts/{script}",
    name: "script",
    title: "A stored script",
    description: "The source of a stored script.",
    mimeType: "text/plain",
    permission: "ExecuteScripts",
  },
  {
    uriTemplate: "spaces://runs/{run}",
    name: "run",
    title: "A run",
    description: "The record of a run: script, arguments, actor, end, error.",
    mimeType: JSON_TYPE,
    permission: "ExecuteScripts",
  },
  {
    uriTemplate: "spaces://runs/{run}/log",
    name: "log",
    title: "The log of a run",
    description: "What a run printed.",
    mimeType: "text/plain",
    permission: "ExecuteScripts",
  },
];

/** The resources that are listed: the lists, and the newest of what they hold. */
export async function listResources(
  client: Client,
  may: (permission: Permission) => boolean,
): Promise<Resource[]> {
  const lists = LISTS.filter(({ permission }) => may(permission));
  const parts = await Promise.all(lists.map(async ({ resources }) => await resources(client)));
  return [
    ...lists.map(({ uri, name, description }) => ({ uri, name, description, mimeType: JSON_TYPE })),
    ...parts.flat(),
  ];
}

const LISTS: readonly {
  readonly uri: string;
  readonly name: string;
  readonly description: string;
  readonly permission: Permission;
  readonly resources: (client: Client) => Promise<Resource[]>;
}[] = [
  {
    uri: "spaces://spaces",
    name: "spaces",
    description: "All of your spaces.",
    permission: "UseSpaces",
    resources: async (client) =>
      (await client.spaces.list({ limit: MOST_LISTED })).items.map(({ name, description }) => ({
        uri: `spaces://spaces/${name}`,
        name: `space ${name}`,
        description: visibleLine(description, 200),
        mimeType: JSON_TYPE,
      })),
  },
  {
    uri: "spaces://templates",
    name: "templates",
    description: "All templates.",
    permission: "UseSpaces",
    resources: async (client) =>
      (await client.templates.list({})).items
        .slice(0, MOST_LISTED)
        .map(({ name, description }) => ({
          uri: `spaces://templates/${name}`,
          name: `template ${name}`,
          description: visibleLine(description, 200),
          mimeType: JSON_TYPE,
        })),
  },
  {
    uri: "spaces://scripts",
    name: "scripts",
    description: "All stored scripts.",
    permission: "ExecuteScripts",
    resources: async (client) =>
      (await client.scripts.list({})).items
        .filter(({ shadowed }) => !shadowed)
        .slice(0, MOST_LISTED)
        .map(({ name, description }) => ({
          uri: `spaces://scripts/${name}`,
          name: `script ${name}`,
          description: visibleLine(description, 200),
          mimeType: "text/plain",
        })),
  },
  {
    uri: "spaces://runs",
    name: "runs",
    description: "The newest runs.",
    permission: "ExecuteScripts",
    resources: async (client) =>
      (await client.runs.list({ limit: MOST_RUNS })).items.map(({ id, status, script }) => ({
        uri: logUri(id),
        name: `log of ${visibleLine(script.name ?? script.filename, 80)}, ${status}`,
        mimeType: "text/plain",
      })),
  },
];

/**
 * Reads a resource.
 * @throws McpError for what is not there: other people's things are not there either
 * @throws SpacesError for everything else that fails
 */
export async function readResource(
  client: Client,
  uri: string,
  signal: AbortSignal,
): Promise<ReadResourceResult> {
  const address = parseAddress(uri);
  if (address === undefined) throw notFound(uri);
  try {
    const { text, mimeType } = await contentOf(client, address, signal);
    return { contents: [{ uri, mimeType, text, _meta: { [`spaces/${FOREIGN_KEY}`]: true } }] };
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code.endsWith("_NOT_FOUND")) throw notFound(uri);
    throw error;
  }
}

function notFound(uri: string): McpError {
  return new McpError(RESOURCE_NOT_FOUND, "There is no such resource.", {
    uri: uri.slice(0, 200),
  });
}

interface Content {
  readonly text: string;
  readonly mimeType: string;
}

async function contentOf(client: Client, address: Address, signal: AbortSignal): Promise<Content> {
  switch (address.kind) {
    case "spaces":
      return json((await client.spaces.list({ limit: 1000 })).items);
    case "templates":
      return json((await client.templates.list({})).items.map(({ source, ...rest }) => rest));
    case "scripts":
      return json((await client.scripts.list({})).items);
    case "runs":
      return json((await client.runs.list({ limit: MOST_LISTED })).items);
    case "space":
      return json(await client.spaces.get({ space: address.name }));
    case "template":
      return json(await client.templates.get({ template: address.name }));
    case "script": {
      const { source } = await client.scripts.get({ script: address.name });
      return { text: source, mimeType: "text/plain" };
    }
    case "run":
      return json(await client.runs.get({ run: address.name }));
    case "log": {
      const part = { offset: 0, most: LONGEST_LOG, signal };
      const { text, nextOffset } = await readLog(client, address.name, part);
      const rest =
        nextOffset === undefined ? "" : `\n[… read on with run_log, offset ${nextOffset} …]\n`;
      return { text: text + rest, mimeType: "text/plain" };
    }
  }
}

const json = (value: unknown): Content => ({
  text: JSON.stringify(value, null, 2),
  mimeType: JSON_TYPE,
});
