/** Records what sandboxes do: the scripts of the engine and of `spaces run`, and the sessions of `spaces repl`. */
import type { Interpreter, ScriptRequest, ScriptResult } from "../interpreter/types.js";
import { endOf } from "../runs/outcome.js";
import type { RunRecorder } from "../runs/recorder.js";

/**
 * Runs a script to its end, and records its output, its calls, its modules and how it ended.
 * @param recorder has begun the record; it is ended here
 */
export async function runRecorded(
  interpreter: Interpreter,
  request: ScriptRequest,
  recorder: RunRecorder,
): Promise<ScriptResult> {
  const { signal } = request;
  const result = await interpreter.run({
    ...request,
    ...recorded(request, recorder),
    signal: signal === undefined ? recorder.signal : AbortSignal.any([signal, recorder.signal]),
  });
  await recorder.end(endOf(result));
  return result;
}

/** The parts of a request through which what it does is recorded. */
export function recorded(
  { moduleSource, onOutput }: Pick<ScriptRequest, "moduleSource" | "onOutput">,
  recorder: RunRecorder,
): Required<Pick<ScriptRequest, "aroundCall" | "moduleSource" | "onOutput">> {
  return {
    aroundCall: (call, make) => recorder.call(call, make),
    onOutput: (stream, text) => {
      recorder.output(stream, text);
      onOutput?.(stream, text);
    },
    moduleSource:
      moduleSource &&
      (async (path) => {
        const found = await moduleSource(path);
        if (typeof found === "string") recorder.module(path, found);
        else if (found !== undefined) recorder.module(path, found.source, found.path);
        return found;
      }),
  };
}
