/**
 * Entry of the worker thread in which scripts and sessions run, one at a time, each in a sandbox
 * of its own.
 * Started by `pool.ts`; speaks the protocol of `protocol.ts`.
 */
import { readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { artifactUrl } from "../../artifacts.js";
import type { MainMessage, OpenMessage, RunMessage, WorkerData } from "../protocol.js";
import { Bridge } from "./bridge.js";
import { EvaluationRun } from "./evaluation-run.js";
import { createQuickjsEngine } from "./quickjs.js";
import { ScriptRun } from "./script-run.js";

const port = parentPort;
if (port === null) {
  throw new Error("This file runs as a worker thread only.");
}
const data = workerData as WorkerData;
const wasmModule =
  data.wasmModule ?? new WebAssembly.Module(readFileSync(artifactUrl("quickjs.wasm")));
const engine = createQuickjsEngine(wasmModule);
const bridge = new Bridge(port, data.control, take);

let current: ScriptRun | EvaluationRun | undefined;
let prepared: Promise<ScriptRun> | undefined = prepare(data.memoryBytes);

function prepare(memoryBytes: number): Promise<ScriptRun> {
  return ScriptRun.prepare(engine, bridge, memoryBytes);
}

async function run(message: RunMessage): Promise<void> {
  const ready = message.memoryBytes === data.memoryBytes ? prepared : undefined;
  const script = await (ready ?? prepare(message.memoryBytes));
  if (ready !== undefined) {
    prepared = undefined;
  }
  current = script;
  script.start(message, () => {
    current = undefined;
    if (data.prebuild) {
      setImmediate(() => {
        prepared ??= prepare(data.memoryBytes);
      });
    }
  });
}

async function open(message: OpenMessage): Promise<void> {
  const session = await EvaluationRun.prepare(engine, bridge, message.memoryBytes);
  current = session;
  session.open(message, () => {
    current = undefined;
  });
}

function take(message: MainMessage): void {
  switch (message.type) {
    case "run":
      // A failure here is one of the house: it ends the worker, and the main thread reports it.
      void run(message);
      break;
    case "open":
      void open(message);
      break;
    case "evaluate":
    case "complete":
      // A session that has just ended has told so already.
      if (current instanceof EvaluationRun) {
        if (message.type === "evaluate") current.evaluate(message);
        else current.complete(message);
      }
      break;
    case "reply":
      current?.receive(message);
      break;
    case "stop":
      current?.wake();
      break;
  }
}

port.on("message", take);
