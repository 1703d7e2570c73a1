/** The in-process binding: the contract answered by an engine in this process. */
import { createRouterClient } from "@orpc/server";
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import type { CallContext, ScriptRunner } from "../engine/context.js";
import { Engine, type EngineOptions } from "../engine/engine.js";
import { localActor } from "../engine/identity/local-user.js";
import { createRouter } from "../engine/router.js";
import { granted } from "../engine/script-grant.js";
import type { Interpreter } from "../interpreter/types.js";
import { StoreError } from "../store/errors.js";
import { attachWithin, type EngineAttachment } from "./attach-within.js";
import type { AttachOptions, AttachTarget } from "./attachment.js";
import type { Binding, BindingOptions } from "./binding.js";
import { CallsUnderWay } from "./calls-under-way.js";
import { hostCallFor } from "./host-call.js";
import { invalidInputOf } from "./invalid-input.js";
import { runRecorded } from "./recorded-script.js";

type InProcessOptions = Pick<BindingOptions, "driver" | "grant" | "onProgress" | "via"> &
  Pick<EngineOptions, "runLimits" | "onTrouble"> & {
    /** Absolute path of the data directory. */
    readonly dataDir: string;
    /** The address at which native scripts in spaces reach the server that opens this engine. */
    readonly publicUrl?: string | undefined;
  };

/** An engine in this process, and clients that call it on behalf of whom they are made for. */
export interface EngineHost extends AsyncDisposable {
  readonly engine: Engine;
  readonly router: EngineRouter;
  readonly calls: CallsUnderWay;
  clientFor(context: CallContext): Client;
  /** Attaches to a process. @throws SpacesError as `Binding.attach`, and `PERMISSION_DENIED` */
  attach(
    context: CallContext,
    target: AttachTarget,
    options?: AttachOptions,
  ): Promise<EngineAttachment>;
}

export type EngineRouter = ReturnType<typeof createRouter>;

/**
 * Opens the engine of a data directory and makes its client, which acts as the user of the
 * operating system with all permissions, or with those that are granted.
 * @throws SpacesError `STORE_UNAVAILABLE` when the store cannot be used
 */
export async function openInProcess(options: InProcessOptions): Promise<Binding> {
  const host = await openEngineHost(options);
  const own: CallContext = { actor: localActor(), depth: 0, local: true, via: options.via };
  const context = granted(own, options.grant);
  return {
    kind: "in-process",
    client: host.clientFor(context),
    clientForRun: (run) => host.clientFor({ ...context, run }),
    attach: (target, attachOptions) => host.attach(context, target, attachOptions),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

/**
 * Opens the engine of a data directory; the in-process binding and the server stand on it.
 * @throws SpacesError `STORE_UNAVAILABLE` when the store cannot be used
 */
export async function openEngineHost(options: InProcessOptions): Promise<EngineHost> {
  const interpreter = new LazyInterpreter();
  const runScript: ScriptRunner = async (script, context, recorder) =>
    await runRecorded(
      await interpreter.load(),
      { ...script, env: process.env, host: hostCallFor(async () => clientFor(context)) },
      recorder,
    );
  const engine = await openEngine({ ...options, runScript });
  const router = createRouter(engine);
  const calls = new CallsUnderWay();
  const clientFor = (context: CallContext): Client =>
    createRouterClient(router, {
      context,
      interceptors: [
        async ({ next, signal, ...call }) => {
          try {
            return await calls.track(signal, (either) => next({ ...call, signal: either }));
          } catch (error) {
            throw toSpacesError(error);
          }
        },
      ],
    });
  return {
    engine,
    router,
    calls,
    clientFor,
    attach: (context, target, attachOptions) =>
      attachWithin({ engine, calls, toSpacesError }, context, target, attachOptions),
    async [Symbol.asyncDispose]() {
      // While all that its scripts call is still there to end it well.
      await engine.runs[Symbol.asyncDispose]();
      await interpreter[Symbol.asyncDispose]();
      await calls[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** The interpreter for scripts that the engine runs, loaded when the first of them does. */
class LazyInterpreter implements AsyncDisposable {
  #interpreter: Promise<Interpreter> | undefined;

  load(): Promise<Interpreter> {
    this.#interpreter ??= import("../interpreter/interpreter.js").then((module) =>
      module.createInterpreter({}),
    );
    return this.#interpreter;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#interpreter === undefined) return;
    await (await this.#interpreter)[Symbol.asyncDispose]();
  }
}

async function openEngine(options: Parameters<typeof Engine.open>[0]): Promise<Engine> {
  try {
    return await Engine.open(options);
  } catch (error) {
    throw toSpacesError(error);
  }
}

/** Turns whatever a call threw into an error of the registry. */
export function toSpacesError(error: unknown): SpacesError {
  if (SpacesError.isInstance(error)) return error;
  if (error instanceof StoreError) {
    return new SpacesError("STORE_UNAVAILABLE", `The store cannot be used: ${error.reason}.`, {
      cause: error,
      details: { code: error.code },
    });
  }
  const invalid = invalidInputOf(error);
  if (invalid !== undefined) return invalid;
  // The text of a foreign error may name paths of the host; scripts read messages, not causes.
  return new SpacesError("INTERNAL", undefined, { cause: error });
}
