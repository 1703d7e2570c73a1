/** `spaces mcp`: an MCP server on standard input and output, for the assistants of people. */
import { once } from "node:events";
import { Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT } from "./exit-codes.js";
import { examples } from "./help.js";
import { parsePermissions } from "./permission-list.js";
import type { Session } from "./session.js";
import { printableLines } from "./text.js";

interface McpOptions {
  readonly driver?: string;
  readonly grant?: string;
}

/** Milliseconds in which a client that has closed its end may still read what it was answered. */
const LAST_READ_MS = 2_000;

export function defineMcp(program: Command, session: Session): void {
  const command = program
    .command("mcp")
    .summary("serve MCP clients on standard input and output")
    .description(
      "Serve one MCP client, such as an assistant or an editor, on standard input and output until it closes them; what is under way is cancelled then. It is started by the client: see docs/mcp.md for how to configure that. A server of `spaces serve` answers MCP clients at /mcp itself.",
    )
    .option("--driver <name>", "driver for new spaces whose template names none")
    .option(
      "--grant <permissions>",
      "what the client may do, separated by commas; all that you may when left out",
    )
    .action(async (options: McpOptions) => serve(session, options));
  examples(
    command,
    "mcp",
    "mcp --grant UseSpaces,CopyFiles",
    "--url https://spaces.example.org mcp",
  );
}

async function serve(session: Session, { driver, grant }: McpOptions): Promise<void> {
  const { signal } = session;
  const binding = await session.binding(driver, {
    via: "mcp",
    ...(grant === undefined ? {} : { grant: parsePermissions(grant, "--grant") }),
  });
  const [{ McpServer }, { StdioServerTransport }] = await Promise.all([
    import("../runtime/mcp/mcp-server.js"),
    import("@modelcontextprotocol/sdk/server/stdio.js"),
  ]);
  if (process.stdin.isTTY === true) {
    session.output.note("An MCP client is to start this and speak to it; Ctrl-D ends it.");
  }
  const transport = new StdioServerTransport(process.stdin, outputOf(session));
  const cut = new Promise<void>((resolve) => {
    transport.onclose = resolve;
  });
  const ended = once(process.stdin, "end", { signal });
  {
    await using server = new McpServer({
      client: () => binding.client,
      onError: (error) => logTo(session, error),
    });
    await server.connect(transport);
    using _ = server.watchChanges();
    await Promise.race([ended, cut]).catch(() => undefined);
  }
  // A client ends its servers by closing their input, and by SIGTERM: neither is a failure.
  const isOver = signal.aborted || process.stdin.readableEnded;
  if (signal.aborted && session.stopCode !== EXIT.outputClosed) session.endWell();
  const read = session.output.flush().then(() => true);
  if (!(await Promise.race([read, pause(LAST_READ_MS, false)]))) {
    await binding[Symbol.asyncDispose]();
    process.exit(EXIT.outputClosed);
  }
  if (!isOver) throw new SpacesError("BODY_TOO_LARGE", "A message of the client is too large.");
}

/** Standard output as a stream that ends the session when its reader has gone. */
function outputOf(session: Session): Writable {
  const output = new Writable({
    write: (chunk: Uint8Array, _, done) => {
      session.output.bytes("stdout", chunk).then(() => done(), done);
    },
  });
  // As many answers may wait for their reader as there are calls.
  return output.setMaxListeners(0);
}

/** Standard output belongs to the protocol: everything else goes to standard error. */
function logTo(session: Session, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const stack = process.env.SPACES_DEBUG && error instanceof Error ? `${error.stack}\n` : "";
  session.output.error(`${printableLines(`mcp: ${text}`.slice(0, 2_000))}\n${stack}`);
}
