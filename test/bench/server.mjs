/** A served engine, as remote callers meet it, beside a bare `node:http` echo of the same run. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { block, interleave, row, skipped, timed } from "./harness.mjs";

const CONNECTIONS = 64;
const STREAMS = 1000;
const PROCESSES = 4;
const STREAMED_MB = 300;
const FILE_MB = 1024;

export async function measure({ stage, quick }) {
  if (spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"]).status !== 0) {
    return [skipped("a served engine", "bwrap cannot make a namespace here")];
  }
  const { openBinding } = await stage.load("index");
  const dataDir = join(stage.temp, "server");
  const echo = await Child.start([fileURLToPath(new URL("./echo-server.mjs", import.meta.url))]);
  const echoUrl = `http://127.0.0.1:${echo.line}/echo`;
  const served = await Child.start([
    ...[stage.cli, "serve", "--port", "0", "--json", "--driver", "bubblewrap", "--data", dataDir],
    ...["--log-level", "warn"],
  ]);
  const { url, adminToken } = JSON.parse(served.line);
  const remote = await openBinding({ binding: "remote", url, token: adminToken });
  const local = await openBinding({ binding: "local", driver: "bubblewrap", dataDir });
  try {
    const { id: space } = await remote.client.spaces.create({ name: "bench" });
    await remote.client.spaces.start({ space });
    const idle = served.memoryMb();
    const agent = new Agent({ keepAlive: true });
    const call = await interleave(
      {
        ours: () => block(() => remote.client.system.whoami({})),
        echo: () => block(() => get(echoUrl, { agent })),
        local: () => block(() => local.client.system.whoami({})),
      },
      { rounds: quick ? 10 : 60, warmup: 3 },
    );
    agent.destroy();
    const exec = await interleave(
      {
        ours: () => block(() => runIn(remote.client, space)),
        local: () => block(() => runIn(local.client, space)),
      },
      { rounds: quick ? 10 : 60, warmup: 3 },
    );
    const headers = { authorization: `Bearer ${adminToken}` };
    const rate = await interleave(
      {
        ours: () => requestRate(`${url}/v1/system/whoami`, { headers }, quick),
        space: () => requestRate(`${url}/v1/spaces/${space}`, { headers }, quick),
        echo: () => requestRate(echoUrl, {}, quick),
      },
      { rounds: quick ? 1 : 5 },
    );
    const stream = await interleave(
      {
        ours: () => streamRate(remote.client, space, quick ? 50 : STREAMED_MB),
        local: () => streamRate(local.client, space, quick ? 50 : STREAMED_MB),
      },
      { rounds: quick ? 1 : 3 },
    );
    const streams = await manyStreams(remote.client, served, space, quick ? 100 : STREAMS);
    const files = await transfer(remote.client, served, space, quick ? 64 : FILE_MB);
    return rowsOf({ idle, call, exec, rate, stream, streams, files });
  } finally {
    await remote.client.spaces.delete({ space: "bench", force: true });
    await remote[Symbol.asyncDispose]();
    await local[Symbol.asyncDispose]();
    await served.end();
    await echo.end();
  }
}

/** A process of Node that says one line when it is ready. */
class Child {
  static async start(args) {
    const child = new Child();
    child.process = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
    const [line] = await once(createInterface({ input: child.process.stdout }), "line");
    child.line = line;
    return child;
  }

  /** Memory that it occupies, in MB. */
  memoryMb() {
    const status = readFileSync(`/proc/${this.process.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  }

  async end() {
    const exit = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await exit;
  }
}

async function runIn(client, space) {
  const { exitCode, output } = await client.processes.run({ space, command: "true", args: [] });
  if (exitCode !== 0) throw new Error(`the command ended with ${exitCode}: ${output}`);
}

/** Requests per second over many connections that are kept. */
async function requestRate(url, { headers }, quick) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const until = performance.now() + (quick ? 500 : 2000);
  let count = 0;
  const start = performance.now();
  const caller = async () => {
    while (performance.now() < until) {
      await get(url, { agent, headers });
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, caller));
  const seconds = (performance.now() - start) / 1000;
  agent.destroy();
  return count / seconds;
}

function get(url, options) {
  return new Promise((resolve, reject) => {
    const asked = request(url, options, (answer) => {
      answer.resume();
      answer.once("end", () => {
        if (answer.statusCode === 200) resolve();
        else reject(new Error(`${url} answered ${answer.statusCode}`));
      });
    });
    asked.once("error", reject);
    asked.end();
  });
}

/** MB/s of a process's output as a follower of it gets it. */
async function streamRate(client, space, megabytes) {
  const { id } = await client.processes.start({
    space,
    command: `sleep 0.2; head -c ${megabytes}000000 /dev/zero`,
  });
  let bytes = 0;
  let start = 0;
  for await (const event of await client.processes.follow({ space, process: id })) {
    if (start === 0) start = performance.now();
    if (event.type === "stdout") bytes += Buffer.byteLength(event.data, "base64");
  }
  const seconds = (performance.now() - start) / 1000;
  await client.processes.remove({ space, process: id });
  return bytes / 1e6 / seconds;
}

/** Many followers at once: how long until all have what was printed, and what each costs. */
async function manyStreams(client, served, space, count) {
  const processes = await Promise.all(
    Array.from({ length: PROCESSES }, async () => {
      const cat = { space, command: "cat", args: [], input: true };
      return (await client.processes.start(cat)).id;
    }),
  );
  const before = served.memoryMb();
  const streams = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      client.processes.follow({ space, process: processes[index % processes.length] }),
    ),
  );
  const readers = streams.map((stream) => stream[Symbol.asyncIterator]());
  const first = readers.map((reader) => reader.next());
  // All of them wait by now.
  await wait(500);
  const write = (input) =>
    Promise.all(processes.map((id) => client.processes.write({ space, process: id, ...input })));
  const took = await timed(() => Promise.all([write({ data: btoa("x") }), ...first]));
  const memory = (served.memoryMb() - before) / count;
  await write({ close: true });
  await Promise.all(
    readers.map(async (reader) => {
      while (!(await reader.next()).done);
    }),
  );
  return { count, took, memory };
}

/** A large file up and down: MB/s of each, and how much the server's memory grew. */
async function transfer(client, served, space, megabytes) {
  const piece = new Uint8Array(1024 * 1024).fill(7);
  let left = megabytes;
  const body = new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      left -= 1;
      controller.enqueue(piece);
    },
  });
  const before = served.memoryMb();
  const up = await timed(() =>
    client.files.upload({ params: { space }, query: { path: "large" }, body }),
  );
  const afterUp = served.memoryMb();
  let bytes = 0;
  const down = await timed(async () => {
    const { body: content } = await client.files.download({ space, path: "large" });
    for await (const chunk of content) bytes += chunk.length;
  });
  if (bytes !== megabytes * 1024 * 1024) throw new Error(`${bytes} bytes came back`);
  await client.files.remove({ space, path: "large" });
  return {
    megabytes,
    up: (megabytes * 1000) / up,
    down: (megabytes * 1000) / down,
    growth: Math.max(afterUp, served.memoryMb()) - before,
  };
}

function rowsOf({ idle, call, exec, rate, stream, streams, files }) {
  return [
    row({
      what: "server: call through the remote binding (`system.whoami`), p50",
      unit: "ms",
      ours: call.ours.p50,
      peer: { name: "bare node:http echo", value: call.echo.p50 },
      samples: { ours: call.ours, peer: call.echo },
    }),
    row({
      what: "server: the same call, p50",
      unit: "ms",
      ours: call.ours.p50,
      peer: { name: "in process", value: call.local.p50 },
      samples: { ours: call.ours, peer: call.local },
    }),
    row({
      what: `server: \`spaces.get\` per second over ${CONNECTIONS} connections`,
      unit: "/s",
      ours: rate.space.p50,
      peer: { name: "node:http echo", value: rate.echo.p50 },
      better: "more",
      samples: { ours: rate.space, peer: rate.echo },
    }),
    row({
      what: `server: \`system.whoami\` per second over ${CONNECTIONS} connections`,
      unit: "/s",
      ours: rate.ours.p50,
      peer: { name: "node:http echo", value: rate.echo.p50 },
      better: "more",
      samples: { ours: rate.ours, peer: rate.echo },
    }),
    row({
      what: "server: command in a running space, p50",
      unit: "ms",
      ours: exec.ours.p50,
      peer: { name: "in process", value: exec.local.p50 },
      samples: { ours: exec.ours, peer: exec.local },
    }),
    row({
      what: "server: output of a process, followed",
      unit: "MB/s",
      ours: stream.ours.p50,
      peer: { name: "in process", value: stream.local.p50 },
      better: "more",
      samples: { ours: stream.ours, peer: stream.local },
    }),
    row({
      what: `server: ${streams.count} streams at once, until all have one line`,
      unit: "ms",
      ours: streams.took,
    }),
    row({
      what: "server: memory of one such stream",
      unit: "MB",
      ours: streams.memory,
      kind: "size",
    }),
    row({ what: "server: memory, idle with one space", unit: "MB", ours: idle, kind: "size" }),
    row({
      what: `server: upload of ${files.megabytes} MB`,
      unit: "MB/s",
      ours: files.up,
      better: "more",
    }),
    row({
      what: `server: download of ${files.megabytes} MB`,
      unit: "MB/s",
      ours: files.down,
      better: "more",
    }),
    row({
      what: "server: growth of its memory by these two",
      unit: "MB",
      ours: files.growth,
      kind: "size",
      budget: { atMost: 32 },
    }),
  ];
}
