/**
 * The contract's procedures behind HTTP: finds the procedure of a request and calls it through
 * oRPC's OpenAPI handler. `exchange.ts` does what comes before and after.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { OpenAPIHandler } from "@orpc/openapi/node";
import { StandardOpenAPIMatcher } from "@orpc/openapi/standard";
import type { AnyProcedure } from "@orpc/server";
import type { EngineHost } from "../bindings/in-process.js";
import type { ProcedureMeta } from "../contract/procedure.js";
import type { CallContext } from "../engine/context.js";
import { coercionOf } from "./coercion.js";
import type { ServerLimits } from "./limits.js";
import { streamError } from "./problem.js";

export const API_PREFIX = "/v1";

/** What a request asks for. */
export interface Operation {
  /** Such as `spaces.create`. */
  readonly name: string;
  readonly procedure: AnyProcedure;
  readonly meta: ProcedureMeta;
  /** Names of the values that the path carries. */
  readonly params: ReadonlySet<string>;
  /** Whether what the path does not carry comes in the query. */
  readonly inQuery: boolean;
  /** Whether the body is bytes as they are. */
  readonly takesBytes: boolean;
}

/** What a call over HTTP brings along. */
export interface ServerContext extends CallContext {
  readonly requestId: string;
  /** Aborts the call: its caller has gone, its token was revoked, the server shuts down. */
  readonly cancelled: AbortSignal;
  /** Set to what the call failed with. */
  failure?: unknown;
}

export class Api {
  readonly #matcher: StandardOpenAPIMatcher;
  readonly #handler: OpenAPIHandler<ServerContext>;

  constructor(host: EngineHost, limits: ServerLimits) {
    this.#matcher = new StandardOpenAPIMatcher();
    this.#matcher.init(host.router);
    const coerce = coercionOf();
    this.#handler = new OpenAPIHandler<ServerContext>(host.router, {
      eventIteratorKeepAliveInterval: limits.keepAliveMs,
      rootInterceptors: [
        async ({ next, context }) => {
          const result = await next();
          // The server writes problems itself: oRPC would call them plain JSON.
          if (context.failure !== undefined) throw context.failure;
          return result;
        },
      ],
      interceptors: [
        async ({ next, context }) => {
          try {
            return await next();
          } catch (error) {
            context.failure = reasonOf(error, context.cancelled);
            throw error;
          }
        },
      ],
      clientInterceptors: [
        async ({ next, signal, context, input, procedure, ...call }) => {
          const either =
            signal === undefined ? context.cancelled : AbortSignal.any([signal, context.cancelled]);
          const output = await host.calls.track(either, async (tracked) =>
            next({
              ...call,
              context,
              procedure,
              input: await coerce(procedure, input),
              signal: tracked,
            }),
          );
          return isStream(output) ? told(output, context) : output;
        },
      ],
    });
  }

  /** The operation of a method and a path below the prefix; undefined where there is none. */
  async find(method: string, path: string): Promise<Operation | undefined> {
    const match = await this.#matcher.match(method as never, path as `/${string}`);
    if (match === undefined) return undefined;
    const { route, meta } = match.procedure["~orpc"];
    return {
      name: match.path.join("."),
      procedure: match.procedure,
      meta: meta as ProcedureMeta,
      params: new Set(Object.keys(match.params ?? {})),
      inQuery: method === "GET" || route.inputStructure === "detailed",
      takesBytes: route.inputStructure === "detailed" && method !== "GET",
    };
  }

  /** Answers a request. @throws what the call failed with, before anything was written */
  async answer(
    request: IncomingMessage & { body?: unknown },
    response: ServerResponse,
    context: ServerContext,
  ): Promise<void> {
    await this.#handler.handle(request, response, { prefix: API_PREFIX, context });
  }
}

/** Why a call was cancelled says more than that it was. */
function reasonOf(error: unknown, cancelled: AbortSignal): unknown {
  return cancelled.aborted ? cancelled.reason : error;
}

function isStream(output: unknown): output is AsyncIterableIterator<unknown> {
  return (
    typeof output === "object" &&
    output !== null &&
    Symbol.asyncIterator in output &&
    "next" in output
  );
}

/** The stream, with its errors as event streams carry them. */
function told(
  stream: AsyncIterableIterator<unknown>,
  context: ServerContext,
): AsyncIterableIterator<unknown> {
  const tell = (error: unknown): never => {
    throw streamError(reasonOf(error, context.cancelled), context.requestId);
  };
  return {
    next: () => stream.next().catch(tell),
    return: (value) => stream.return?.(value) ?? Promise.resolve({ done: true, value }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
