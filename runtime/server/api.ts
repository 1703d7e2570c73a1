/**
 * The contract's procedures behind HTTP: finds the procedure of a request and calls it through
 * oRPC's OpenAPI handler. `exchange.ts` does what comes before and after.
 */

import type { ServerResponse } from "node:http";
import type { HTTPMethod, HTTPPath } from "@orpc/client";
import { getEventIteratorSchemaDetails } from "@orpc/contract";
import { StandardOpenAPIHandler, StandardOpenAPIMatcher } from "@orpc/openapi/standard";
import type { StandardHeaders } from "@orpc/standard-server";
import type { EngineHost } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { ProcedureMeta } from "../contract/procedure.js";
import type { CallContext } from "../engine/context.js";
import { hideHostPathsOf } from "../engine/host-paths.js";
import type { KeptAnswer } from "../engine/kept-answers.js";
import { coercionOf } from "./coercion.js";
import type { ServerLimits } from "./limits.js";
import { streamError } from "./problem.js";
import { sendReply } from "./reply.js";

export const API_PREFIX = "/v1";

/** What a request asks for. */
export interface Operation {
  /** Such as `spaces.create`. */
  readonly name: string;
  readonly permission: Permission | undefined;
  /** Names of the values that the path carries. */
  readonly params: ReadonlySet<string>;
  /** Whether what the path does not carry may come in the query. */
  readonly inQuery: boolean;
  /** Whether the body is bytes as they are. */
  readonly takesBytes: boolean;
  /** Whether it counts as a stream: events, or bytes in either direction. */
  readonly isStream: boolean;
  /** Whether idempotency keys count: for what is done again when it is asked for again. */
  readonly isKeyed: boolean;
}

/** What a call over HTTP brings along. */
export interface ServerContext extends CallContext {
  readonly requestId: string;
  readonly operation: Operation;
  /** Given the answer before it is sent. */
  readonly keep: ((answer: KeptAnswer) => Promise<void>) | undefined;
  /** Set to what the call failed with. */
  failure?: unknown;
}

/** A request whose path and body have been read. */
export interface ApiRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: StandardHeaders;
  readonly body: unknown;
  /** Fires when the caller has gone, or may not go on. */
  readonly signal: AbortSignal;
}

export class Api {
  readonly #matcher: StandardOpenAPIMatcher;
  readonly #handler: StandardOpenAPIHandler<ServerContext>;
  readonly #keepAliveMs: number;

  constructor(host: EngineHost, limits: ServerLimits) {
    this.#keepAliveMs = limits.keepAliveMs;
    this.#matcher = new StandardOpenAPIMatcher();
    this.#matcher.init(host.router);
    const coerce = coercionOf();
    const { dataDir } = host.engine.parts;
    this.#handler = new StandardOpenAPIHandler<ServerContext>(host.router, {
      rootInterceptors: [
        async ({ next, context }) => {
          const result = await next();
          // The server writes problems itself: oRPC would call them plain JSON.
          if (context.failure !== undefined) throw context.failure;
          if (result.response !== undefined && context.keep !== undefined) {
            const { status, body } = result.response;
            await context.keep({ status, body: JSON.stringify(body) });
          }
          return result;
        },
      ],
      interceptors: [
        async ({ next, context }) => {
          try {
            return await next();
          } catch (error) {
            context.failure = error;
            throw error;
          }
        },
      ],
      clientInterceptors: [
        async ({ next, signal, context, input, procedure, path, ...call }) => {
          if (path.join(".") !== context.operation.name) {
            throw new Error(`${path.join(".")} was found where ${context.operation.name} was`);
          }
          const { requestId } = context;
          return await host.calls.track(signal, async (tracked) => {
            const why = (error: unknown): unknown =>
              tracked.aborted && SpacesError.isInstance(tracked.reason)
                ? tracked.reason
                : hideHostPathsOf(error, dataDir);
            try {
              const output = await next({
                ...call,
                context,
                procedure,
                path,
                input: await coerce(procedure, input),
                signal: tracked,
              });
              return isStream(output)
                ? told(output, (error) => streamError(why(error), requestId))
                : output;
            } catch (error) {
              throw why(error);
            }
          });
        },
      ],
    });
  }

  /** The operation of a method and a path below the prefix; undefined where there is none. */
  async find(method: string, path: string): Promise<Operation | undefined> {
    const match = await this.#matcher.match(method as HTTPMethod, path as HTTPPath);
    if (match === undefined) return undefined;
    const { route, meta, outputSchema } = match.procedure["~orpc"];
    const { permission, bytes, idempotent } = meta as ProcedureMeta;
    const isDetailed = route.inputStructure === "detailed";
    const isStream = bytes === true || getEventIteratorSchemaDetails(outputSchema) !== undefined;
    return {
      name: match.path.join("."),
      permission,
      params: new Set(Object.keys(match.params ?? {})),
      inQuery: method === "GET" || isDetailed,
      takesBytes: isDetailed && method !== "GET",
      isStream,
      isKeyed: method === "POST" && idempotent !== true && !isStream,
    };
  }

  /** Answers a request. @throws what the call failed with, before anything was written */
  async answer(
    { method, url, headers, body, signal }: ApiRequest,
    response: ServerResponse,
    context: ServerContext,
  ): Promise<void> {
    const request = { method, url, headers, body: async () => body, signal };
    const result = await this.#handler.handle(request, { prefix: API_PREFIX, context });
    if (result.response === undefined) throw new Error(`${method} ${url.pathname} was lost`);
    await sendReply(response, result.response, { keepAliveMs: this.#keepAliveMs, signal });
  }
}

function isStream(output: unknown): output is AsyncIterableIterator<unknown> {
  return (
    typeof output === "object" &&
    output !== null &&
    Symbol.asyncIterator in output &&
    "next" in output
  );
}

/** The stream, with its errors as `tell` puts them. */
function told(
  stream: AsyncIterableIterator<unknown>,
  tell: (error: unknown) => Error,
): AsyncIterableIterator<unknown> {
  return {
    next: async () => {
      try {
        return await stream.next();
      } catch (error) {
        throw tell(error);
      }
    },
    return: (value) => stream.return?.(value) ?? Promise.resolve({ done: true, value }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
