import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CLI } from "../../test/support/cli.js";
import { openTestServer } from "./test-server.js";

let dataDir: string;
let url: string;
let server: ReturnType<typeof spawn>;
let errors = "";

const post = (path: string, body: object) =>
  fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

/** Begins a request and breaks it off once something of the answer, or of its body, has gone over. */
const breakOff = (method: string, path: string, body?: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const sent = request(url + path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/octet-stream" },
    });
    sent.on("error", () => undefined);
    sent.on("close", () => resolve());
    if (body === undefined) {
      sent.on("response", (response) => {
        response.on("error", () => undefined);
        response.once("data", () => sent.destroy());
      });
      sent.end();
    } else {
      sent.write(body, () => sent.destroy());
    }
  });

// A process of its own: what is thrown outside of all calls would end it.
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "spaces-disconnect-"));
  const args = [
    "--port",
    "0",
    "--auth",
    "none",
    "--data",
    dataDir,
    "--driver",
    "virtual",
    "--json",
  ];
  server = spawn(process.execPath, [CLI, "serve", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  server.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  if (server.stdout === null) throw new Error("no output");
  const [line] = await once(server.stdout.setEncoding("utf8"), "data");
  url = JSON.parse(line).url;
  await post("/v1/spaces", { name: "s" });
  await post("/v1/spaces/s/start", {});
});

afterAll(async () => {
  server.kill("SIGTERM");
  if (server.exitCode === null) await once(server, "exit");
  await using after = await openTestServer({ dataDir });
  await after.call("DELETE", "/v1/spaces/s", { body: { force: true } });
  await rm(dataDir, { recursive: true, force: true });
});

it("survives clients that go away in the middle of uploads, downloads and calls", async () => {
  const content = "/v1/spaces/s/files/content?path=big";
  const large = Buffer.alloc(20_000_000, "x");
  const put = await fetch(url + content, {
    method: "PUT",
    headers: { "content-type": "application/octet-stream" },
    body: large,
  });
  expect(put.status).toBe(200);
  for (let round = 0; round < 15; round++) {
    await Promise.all([
      breakOff("GET", content),
      breakOff("PUT", "/v1/spaces/s/files/content?path=half", Buffer.alloc(300_000)),
      breakOff("PUT", "/v1/spaces/absent/files/content?path=half", Buffer.alloc(300_000)),
      breakOff("GET", "/openapi.json"),
    ]);
    const cut = new AbortController();
    const waits = fetch(`${url}/v1/spaces/s/wait`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"status":"stopped","timeoutMs":60000}',
      signal: cut.signal,
    }).catch(() => "broken off");
    await expect
      .poll(async () => (await fetch(`${url}/metrics`)).text())
      .toMatch(/spaces_operations_in_flight 1/);
    cut.abort();
    expect(await waits).toBe("broken off");
  }
  await expect
    .poll(async () => (await fetch(`${url}/metrics`)).text())
    .toMatch(/spaces_operations_in_flight 0(.|\n)*spaces_streams_open 0/);
  const half = await fetch(`${url}/v1/spaces/s/files/exists?path=half`);
  expect(await half.json()).toEqual({ exists: false });
  expect(server.exitCode).toBeNull();
  expect(errors).not.toMatch(/Uncaught|Unhandled|ERR_/);
});
