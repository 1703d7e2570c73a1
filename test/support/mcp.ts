/** Real MCP clients for tests: over standard input and output to `spaces mcp`, and over HTTP to a server. */

import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { CLI, CliHome, ROOT } from "./cli.js";
import { ServedProcess } from "./server-process.js";

export type McpTransport = "stdio" | "http";

/** What a call of a tool gave. */
export interface ToolResult {
  readonly text: string;
  readonly isError: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads results of every tool
  readonly structured: any;
}

/** Connects a client of the protocol. */
export async function connectMcp(transport: Transport): Promise<Client> {
  const client = new Client({ name: "spaces-tests", version: "1" });
  await client.connect(transport);
  // From then on the client holds results against the tools' schemas.
  await client.listTools();
  return client;
}

/** The transport to a server's `/mcp`. */
export function httpTransport(url: string, token: string): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
}

/** The transport to a `spaces mcp` of its own. */
export function stdioTransport(
  cli: CliHome,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): StdioClientTransport {
  const own = Object.entries({ ...cli.env, ...env }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return new StdioClientTransport({
    command: process.execPath,
    args: [CLI, "mcp", ...args],
    cwd: ROOT,
    env: Object.fromEntries(own),
    stderr: "pipe",
  });
}

/** Calls a tool, and reads its result. */
export async function callTool(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
  options: Parameters<Client["callTool"]>[2] = {},
): Promise<ToolResult> {
  const result = (await client.callTool(
    { name, arguments: args },
    undefined,
    options,
  )) as CallToolResult;
  return {
    text: result.content.map((part) => (part.type === "text" ? part.text : "")).join("\n"),
    isError: result.isError === true,
    structured: result.structuredContent,
  };
}

/** An MCP server on a data directory of its own, and a client of it; disposing leaves nothing. */
export class McpHome implements AsyncDisposable {
  readonly cli: CliHome;
  readonly client: Client;
  /** The server, of the transport `http`. */
  readonly served: ServedProcess | undefined;

  private constructor(cli: CliHome, client: Client, served: ServedProcess | undefined) {
    this.cli = cli;
    this.client = client;
    this.served = served;
  }

  static async make(transport: McpTransport, driver = "virtual"): Promise<McpHome> {
    const cli = await CliHome.make(driver);
    if (transport === "stdio") {
      return new McpHome(cli, await connectMcp(stdioTransport(cli)), undefined);
    }
    const image = cli.env.SPACES_DEFAULT_IMAGE;
    const served = await ServedProcess.start({
      dataDir: join(cli.home, "data"),
      driver,
      ...(image === undefined ? {} : { env: { SPACES_DEFAULT_IMAGE: image } }),
    });
    const client = await connectMcp(httpTransport(served.url, served.adminToken ?? ""));
    return new McpHome(cli, client, served);
  }

  /** The environment with which the command line is who the client is. */
  get env(): Record<string, string> {
    if (this.served === undefined) return {};
    return { SPACES_URL: this.served.url, SPACES_TOKEN: this.served.adminToken ?? "" };
  }

  /** Runs `spaces …` as who the client is; it has to end well. */
  async command(args: readonly string[], input?: string): Promise<void> {
    const given = input === undefined ? {} : { input };
    const result = await this.cli.run(args, { env: this.env, ...given });
    if (result.code !== 0) throw new Error(`spaces ${args.join(" ")}: ${JSON.stringify(result)}`);
  }

  /** Runs a script that must end well with `run_script`; gives the lines it printed. */
  async lines(source: string): Promise<string[]> {
    const { isError, text, structured } = await callTool(this.client, "run_script", { source });
    if (isError) throw new Error(text);
    return structured.untrusted.output.split("\n").slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lines(`
      import spaces from "spaces";
      for (const { name } of spaces.list()) spaces.delete(name, { force: true });
    `);
    await this.client.close();
    await this.served?.[Symbol.asyncDispose]();
    await this.cli[Symbol.asyncDispose]();
  }
}
