/**
 * The MCP server: tools, resources and prompts over a client of the contract. It knows neither which
 * binding the client is of nor which transport it is connected to; `spaces mcp` and `/mcp` make it.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type RequestId,
  type ServerNotification,
  type ServerRequest,
  type Tool as ToolInfo,
} from "@modelcontextprotocol/sdk/types.js";
import type { Client } from "../contract/contract.js";
import type { SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import { VERSION } from "../version.js";
import { ChangeWatch } from "./change-watch.js";
import { completionsOf } from "./completion.js";
import { keepEarlyCancels } from "./early-cancels.js";
import { INSTRUCTIONS } from "./instructions.js";
import { Progress, type SendProgress } from "./progress.js";
import { fillPrompt, PROMPTS } from "./prompts.js";
import { listResources, RESOURCE_TEMPLATES, readResource } from "./resources.js";
import { failureOf, protocolError, resultOf, spacesErrorOf } from "./results.js";
import { changeFiles } from "./tools/change-files.js";
import { describe } from "./tools/describe.js";
import { files } from "./tools/files.js";
import { runCommand } from "./tools/run-command.js";
import { runLog } from "./tools/run-log.js";
import { runScript } from "./tools/run-script.js";
import { search } from "./tools/search.js";
import { scriptTools } from "./tools/stored-scripts.js";
import type { Tool } from "./tools/tool.js";

export interface McpServerOptions {
  /** Gives the client on whose behalf the next request is answered. */
  readonly client: () => Client;
  /** Told of failures that the client of the protocol is not shown the cause of. */
  readonly onError: (error: unknown) => void;
  /**
   * Called when a request that the client has cancelled is over. It is not answered; what was kept
   * open for its answer can be closed.
   */
  readonly onCancelled?: (request: RequestId) => void;
}

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** In the order in which they are listed. */
const TOOLS: readonly Tool[] = [
  search,
  describe,
  runScript,
  runCommand,
  files,
  changeFiles,
  runLog,
];

/** Milliseconds between two looks at whether scripts or spaces have changed. */
const CHANGES_MS = 5_000;

/** A server for one connection. Disposing cancels what is under way and waits for its clean-up. */
export class McpServer implements AsyncDisposable {
  readonly #options: McpServerOptions;
  readonly #server: Server;
  readonly #changes: ChangeWatch;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: McpServerOptions) {
    this.#options = options;
    this.#server = new Server(
      { name: "spaces", title: "spaces", version: VERSION },
      {
        capabilities: {
          tools: { listChanged: true },
          resources: { listChanged: true },
          prompts: {},
          completions: {},
        },
        instructions: INSTRUCTIONS,
        // It would check what a user is asked for; nothing is asked. The default one is large.
        jsonSchemaValidator: {
          getValidator: () => {
            throw new Error("This server asks its client nothing.");
          },
        },
      },
    );
    this.#changes = new ChangeWatch({
      client: options.client,
      toolsChanged: () => this.#server.sendToolListChanged(),
      resourcesChanged: () => this.#server.sendResourceListChanged(),
      everyMs: CHANGES_MS,
      onError: options.onError,
    });
    this.#server.onerror = (error) => options.onError(error);
    this.#addTools();
    this.#addResources();
    this.#addPrompts();
  }

  /** Answers the requests that come by a transport. Can be called once. */
  async connect(transport: Transport): Promise<void> {
    await this.#server.connect(transport);
    keepEarlyCancels(transport);
  }

  /** Whether a request is being answered. */
  get isBusy(): boolean {
    return this.#underWay.size > 0;
  }

  /** Tells the client of changes from now on, until the result is disposed. */
  watchChanges(): Disposable {
    return this.#changes.begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#changes[Symbol.dispose]();
    await this.#server.close();
    await Promise.allSettled(this.#underWay);
  }

  #addTools(): void {
    this.#server.setRequestHandler(ListToolsRequestSchema, (_, extra) =>
      this.#answer(extra, async () => ({ tools: (await this.#tools()).map(infoOf) })),
    );
    this.#server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
      this.#answer(extra, async () => {
        const tool = await this.#tool(params.name);
        try {
          return await this.#call(tool, params.arguments ?? {}, extra);
        } catch (failure) {
          if (failure instanceof McpError) throw failure;
          return failureOf(this.#told(failure));
        } finally {
          this.#changes.lookSoon();
        }
      }),
    );
  }

  async #call(tool: Tool, args: unknown, extra: Extra): Promise<CallToolResult> {
    await using progress = new Progress(progressOf(extra), extra.signal);
    const client = this.#options.client();
    return resultOf(await tool.call(args, { client, signal: extra.signal, progress }));
  }

  /** The tools that the caller may use. */
  async #tools(): Promise<Tool[]> {
    const client = this.#options.client();
    const may = await permissionsOf(client);
    const scripts = may("ExecuteScripts") ? await scriptTools(client) : [];
    return [...TOOLS, ...scripts].filter(
      ({ permission }) => permission === undefined || may(permission),
    );
  }

  async #tool(name: string): Promise<Tool> {
    const own = TOOLS.find((tool) => tool.name === name);
    const tool = own ?? (await this.#tools()).find((each) => each.name === name);
    if (tool !== undefined) return tool;
    throw new McpError(ErrorCode.InvalidParams, `There is no tool "${name.slice(0, 80)}".`);
  }

  #addResources(): void {
    this.#server.setRequestHandler(ListResourcesRequestSchema, (_, extra) =>
      this.#answer(extra, async () => {
        const client = this.#options.client();
        return { resources: await listResources(client, await permissionsOf(client)) };
      }),
    );
    this.#server.setRequestHandler(ListResourceTemplatesRequestSchema, (_, extra) =>
      this.#answer(extra, async () => {
        const may = await permissionsOf(this.#options.client());
        const templates = RESOURCE_TEMPLATES.filter(({ permission }) => may(permission));
        return { resourceTemplates: templates.map(({ permission, ...template }) => template) };
      }),
    );
    this.#server.setRequestHandler(ReadResourceRequestSchema, ({ params }, extra) =>
      this.#answer(extra, () => readResource(this.#options.client(), params.uri, extra.signal)),
    );
    this.#server.setRequestHandler(CompleteRequestSchema, ({ params }, extra) =>
      this.#answer(extra, async () => {
        const { name, value } = params.argument;
        return { completion: await completionsOf(this.#options.client(), name, value) };
      }),
    );
  }

  #addPrompts(): void {
    this.#server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: [...PROMPTS] }));
    this.#server.setRequestHandler(GetPromptRequestSchema, ({ params }) =>
      fillPrompt(params.name, params.arguments ?? {}),
    );
  }

  /** Counts the answering of a request, and puts its failures into the protocol's form. */
  async #answer<Result>(
    { requestId, signal }: Extra,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const working = work();
    this.#underWay.add(working);
    try {
      return await working;
    } catch (failure) {
      if (failure instanceof McpError) throw failure;
      throw protocolError(this.#told(failure));
    } finally {
      this.#underWay.delete(working);
      if (signal.aborted) this.#options.onCancelled?.(requestId);
    }
  }

  /** The error of a failure; the cause of one of our own goes to the log. */
  #told(failure: unknown): SpacesError {
    const error = spacesErrorOf(failure);
    if (error.code === "INTERNAL") this.#options.onError(error.cause ?? error);
    return error;
  }
}

function infoOf({ permission, call, ...info }: Tool): ToolInfo {
  return info as ToolInfo;
}

async function permissionsOf(client: Client): Promise<(permission: Permission) => boolean> {
  const { permissions } = await client.system.whoami({});
  const all = new Set(permissions);
  return (permission) => all.has(permission);
}

/** Sends progress where the client asked for it. */
function progressOf({ _meta, sendNotification }: Extra): SendProgress | undefined {
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return undefined;
  return (progress, message) =>
    sendNotification({
      method: "notifications/progress",
      params: { progressToken, progress, message },
    });
}
