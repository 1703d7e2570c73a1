/** The configuration in docs/mcp.md leads clients to a server that answers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CLI, CliHome, ROOT } from "../support/cli.js";
import { connectMcp, httpTransport, McpHome } from "../support/mcp.js";

interface Entry {
  readonly command?: string;
  readonly args?: readonly string[];
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const page = readFileSync(join(ROOT, "docs/mcp.md"), "utf8");

/** The servers of every configuration. */
const entries = [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].flatMap(([, text = ""]) => {
  const { mcpServers, servers, context_servers } = JSON.parse(text) as Record<
    string,
    Record<string, Entry>
  >;
  return Object.values(mcpServers ?? servers ?? context_servers ?? {});
});

describe("docs/mcp.md", () => {
  let cli: CliHome;
  beforeAll(async () => {
    cli = await CliHome.make();
  });
  afterAll(async () => {
    await cli[Symbol.asyncDispose]();
  });

  it("has configurations of both kinds", () => {
    expect(entries.filter(({ command }) => command !== undefined).length).toBeGreaterThan(2);
    expect(entries.filter(({ url }) => url !== undefined).length).toBeGreaterThan(1);
  });

  it.each(entries.filter(({ command }) => command !== undefined))(
    "a client started with $command $args is answered",
    async ({ command, args = [] }) => {
      const [yes, name, ...rest] = args;
      expect([command, yes, name]).toEqual(["npx", "-y", "spaces-runtime"]);
      const env = Object.entries(cli.env).filter(
        (pair): pair is [string, string] => pair[1] !== undefined,
      );
      const client = await connectMcp(
        // What npx would fetch is what was built here.
        new StdioClientTransport({
          ...{ command: process.execPath, args: [CLI, ...rest], cwd: ROOT },
          env: Object.fromEntries(env),
        }),
      );
      expect((await client.listTools()).tools.length).toBeGreaterThan(4);
      await client.close();
    },
  );

  it("a client of a server is answered at the path that is written there", async () => {
    for (const { url, headers } of entries.filter((entry) => entry.url !== undefined)) {
      expect(new URL(url ?? "").pathname).toBe("/mcp");
      expect(headers?.Authorization).toMatch(/^Bearer \$\{/);
    }
    await using mcp = await McpHome.make("http");
    const { url = "", adminToken = "" } = mcp.served ?? {};
    const client = await connectMcp(httpTransport(url, adminToken));
    expect((await client.listTools()).tools.length).toBeGreaterThan(4);
    await client.close();
  });

  it("names every tool, prompt and resource that there is", async () => {
    await using mcp = await McpHome.make("stdio");
    const { tools } = await mcp.client.listTools();
    const { prompts } = await mcp.client.listPrompts();
    const { resourceTemplates } = await mcp.client.listResourceTemplates();
    for (const { name } of [...tools, ...prompts]) expect(page).toContain(`\`${name}\``);
    for (const { uriTemplate } of resourceTemplates) expect(page).toContain(`\`${uriTemplate}\``);
  });
});
