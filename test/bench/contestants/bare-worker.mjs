/**
 * A bare worker thread that blocks for the answers of its main thread, as a contestant: the floor
 * that the machine sets for blocking host calls, and what Node itself needs for a worker.
 */
import {
  isMainThread,
  parentPort,
  receiveMessageOnPort,
  Worker,
  workerData,
} from "node:worker_threads";
import { answerTasks, settledRss } from "../contestant.mjs";

if (isMainThread) {
  answerTasks({ blockingCalls, memory });
} else if (workerData === undefined) {
  parentPort.on("message", () => undefined);
} else {
  const { signal, count } = workerData;
  for (let index = 0; index < count; index += 1) {
    const seen = Atomics.load(signal, 0);
    parentPort.postMessage({ id: index, name: "spaces.get", input: '{"space":"s"}' });
    let reply = receiveMessageOnPort(parentPort);
    while (reply === undefined) {
      Atomics.wait(signal, 0, seen);
      reply = receiveMessageOnPort(parentPort);
    }
  }
}

/** Microseconds between the arrivals of blocking calls. */
async function blockingCalls({ count }) {
  const signal = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(import.meta.url), { workerData: { signal, count } });
  const arrivals = [];
  worker.on("message", async ({ id }) => {
    arrivals.push(performance.now());
    await undefined;
    worker.postMessage({ id, answer: '{"description":"x"}' });
    Atomics.add(signal, 0, 1);
    Atomics.notify(signal, 0);
  });
  await new Promise((resolve, reject) => {
    worker.once("exit", resolve);
    worker.once("error", reject);
  });
  return arrivals.slice(1).map((time, index) => (time - arrivals[index]) * 1000);
}

/** Megabytes of a worker that waits for messages. */
async function memory({ count }) {
  const before = await settledRss();
  const workers = Array.from({ length: count }, () => new Worker(new URL(import.meta.url)));
  const after = await settledRss();
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { fresh: (after - before) / count };
}
