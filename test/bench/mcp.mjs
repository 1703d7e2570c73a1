/**
 * `run_script` as an MCP client meets it, over standard input and output and over HTTP, beside the same
 * run without the protocol, and beside the protocol without a run.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { block, interleave, row, timed } from "./harness.mjs";

const SOURCE = "console.log('hello');";
const ECHO = fileURLToPath(new URL("./mcp-echo.mjs", import.meta.url));

export async function measure({ stage, quick }) {
  const { openBinding } = await stage.load("index");
  const dataDir = join(stage.temp, "mcp");
  const env = { ...process.env, SPACES_HOME: dataDir, SPACES_URL: "", SPACES_DRIVER: "virtual" };
  const stdioOf = (...args) =>
    connected(new StdioClientTransport({ command: process.execPath, args, env }));
  const begun = [];
  for (let i = 0; i < (quick ? 2 : 10); i += 1) {
    let client;
    begun.push(
      await timed(async () => {
        client = await stdioOf(stage.cli, "mcp");
      }),
    );
    await client.close();
  }
  const served = spawn(
    process.execPath,
    [stage.cli, "serve", "--port", "0", "--json", "--driver", "virtual", "--log-level", "warn"],
    { env: { ...env, SPACES_HOME: `${dataDir}-served` }, stdio: ["ignore", "pipe", "ignore"] },
  );
  const [line] = await once(createInterface({ input: served.stdout }), "line");
  const { url, adminToken } = JSON.parse(line);
  const headers = { authorization: `Bearer ${adminToken}` };
  const http = await connected(
    new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
  );
  const stdio = await stdioOf(stage.cli, "mcp");
  const echo = await stdioOf(ECHO);
  const local = await openBinding({
    binding: "local",
    driver: "virtual",
    dataDir: `${dataDir}-local`,
  });
  try {
    const call = async (client, name, args) => {
      const result = await client.callTool({ name, arguments: args });
      if (result.isError) throw new Error(result.content[0].text);
    };
    const plain = async () => {
      const { id: run } = await local.client.runs.start({ source: SOURCE });
      const { status } = await local.client.runs.wait({ run });
      if (status !== "succeeded") throw new Error(`the run ${status}`);
    };
    const samples = await interleave(
      {
        stdio: () => block(() => call(stdio, "run_script", { source: SOURCE })),
        http: () => block(() => call(http, "run_script", { source: SOURCE })),
        plain: () => block(plain),
        echo: () => block(() => call(echo, "echo", { text: SOURCE })),
        search: () => block(() => call(stdio, "search", { query: "run a command" })),
      },
      { rounds: quick ? 5 : 30, warmup: 3 },
    );
    return rowsOf({ ...samples, begun });
  } finally {
    await Promise.all([stdio, http, echo].map((client) => client.close()));
    await local[Symbol.asyncDispose]();
    const exit = once(served, "exit");
    served.kill("SIGTERM");
    await exit;
  }
}

async function connected(transport) {
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(transport);
  return client;
}

function rowsOf({ stdio, http, plain, echo, search, begun }) {
  const withoutProtocol = { name: "runs.start and wait", value: plain.p50 };
  return [
    row({
      what: "MCP: `run_script` over stdio, p50",
      unit: "ms",
      ours: stdio.p50,
      peer: withoutProtocol,
      samples: { ours: stdio, peer: plain },
    }),
    row({
      what: "MCP: `run_script` over HTTP, p50",
      unit: "ms",
      ours: http.p50,
      peer: withoutProtocol,
      samples: { ours: http, peer: plain },
    }),
    row({
      what: "MCP: `run_script` over stdio, beside a tool that does nothing, p50",
      unit: "ms",
      ours: stdio.p50,
      peer: { name: "bare MCP echo", value: echo.p50 },
      samples: { ours: stdio, peer: echo },
    }),
    row({
      what: "MCP: `search` over stdio, p50",
      unit: "ms",
      ours: search.p50,
      peer: { name: "bare MCP echo", value: echo.p50 },
      samples: { ours: search, peer: echo },
    }),
    row({
      what: "MCP: from the start of `spaces mcp` to its first answer, median",
      unit: "ms",
      ours: [...begun].sort((a, b) => a - b)[Math.floor(begun.length / 2)],
    }),
  ];
}
