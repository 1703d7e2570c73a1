/**
 * Calls to a server in another process: what the remote binding adds to a bare `node:http` echo of the
 * same size, and to the same call in this process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { interleave, row } from "./harness.mjs";

const CALLS = 200;

const ECHO = `
const { createServer } = require("node:http");
const server = createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  request.pipe(response);
});
server.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port));
`;

export async function measure({ stage, quick }) {
  const data = join(stage.temp, "remote");
  const serve = ["serve", "--port", "0", "--auth", "none", "--driver", "virtual", "--data", data];
  const server = await start([join(stage.dist, "cli.js"), ...serve, "--log-level", "silent"]);
  const echo = await start(["-e", ECHO]);
  const { openBinding } = await stage.load("index");
  const remote = await openBinding({ binding: "remote", url: server.url });
  const local = await openBinding({ binding: "local", dataDir: join(stage.temp, "beside") });
  const agent = new Agent({ keepAlive: true });
  try {
    const body = JSON.stringify(await remote.client.system.whoami({}));
    const taken = await interleave(
      {
        remote: () => eachMicros(() => remote.client.system.whoami({})),
        echo: () => eachMicros(() => post(echo.url, body, agent)),
        local: () => eachMicros(() => local.client.system.whoami({})),
      },
      { rounds: quick ? 3 : 20 },
    );
    const common = { what: "call through the remote binding, p50", unit: "µs" };
    return [
      row({
        ...common,
        ours: taken.remote.p50,
        peer: { name: "bare node:http echo", value: taken.echo.p50 },
        samples: { ours: taken.remote, peer: taken.echo },
      }),
      row({
        ...common,
        ours: taken.remote.p50,
        peer: { name: "the same call in process", value: taken.local.p50 },
        samples: { ours: taken.remote, peer: taken.local },
      }),
    ];
  } finally {
    agent.destroy();
    await remote[Symbol.asyncDispose]();
    await local[Symbol.asyncDispose]();
    for (const { child } of [server, echo]) {
      child.kill();
      await once(child, "close");
    }
  }
}

/** Starts a server that prints its URL first. */
async function start(args) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = await once(child.stdout.setEncoding("utf8"), "data");
  return { child, url: text.trim() };
}

async function eachMicros(call) {
  const samples = [];
  for (let made = 0; made < CALLS; made++) {
    const begin = performance.now();
    await call();
    samples.push((performance.now() - begin) * 1000);
  }
  return samples;
}

function post(url, body, agent) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(JSON.parse(text)));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
