/** Stands in for scripts where a test says when and how they end: no real one runs for a day. */

import { SpacesError } from "../../contract/errors.js";
import { newId } from "../../contract/new-id.js";
import type { ScriptRun } from "../../contract/scripts.js";
import type { CallContext, ScriptRunOptions } from "../context.js";
import type { ScriptStarts } from "./attempt.js";

type Request = Parameters<ScriptStarts["start"]>[1];

/** A script under way. */
export interface StartedScript {
  readonly context: CallContext;
  readonly request: Request;
  readonly options: ScriptRunOptions;
  /** Ends it, with this exit code. */
  end(exitCode: number): void;
}

export class TestScripts implements ScriptStarts {
  /** Those that run, in the order in which they began. */
  readonly running = new Set<StartedScript>();
  readonly #onStart: (script: StartedScript) => void;

  constructor(onStart: (script: StartedScript) => void = () => undefined) {
    this.#onStart = onStart;
  }

  async start(context: CallContext, request: Request, options: ScriptRunOptions) {
    options.signal?.throwIfAborted();
    const run = newId("run");
    let settle: ((result: ScriptRun) => void) | undefined;
    const ended = new Promise<ScriptRun>((resolve) => {
      settle = resolve;
    });
    const recorder: { readonly id: string; run: Pick<ScriptRun, "error"> } = { id: run, run: {} };
    const finish = (result: Pick<ScriptRun, "exitCode" | "error">): void => {
      this.running.delete(script);
      recorder.run = result;
      settle?.({ output: "", truncated: false, durationMs: 0, run, ...result });
    };
    const script: StartedScript = {
      ...{ context, request, options },
      end: (exitCode) => finish({ exitCode }),
    };
    const cancelled = new SpacesError("CANCELLED").serialize();
    const cancel = (): void => finish({ exitCode: 1, error: cancelled });
    options.signal?.addEventListener("abort", cancel, { once: true });
    this.running.add(script);
    this.#onStart(script);
    return { recorder, ended };
  }
}
