import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canMakeCertificates, makeCertificate } from "../../test/support/certificates.js";
import { CLI } from "../../test/support/cli.js";
import { codeOf, openTestServer } from "./test-server.js";

const hasOpenssl = await canMakeCertificates();

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "spaces-serve-"));
});
afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

/** Runs `spaces serve` until it is ready. */
async function serve(...more: readonly string[]) {
  const args = [CLI, "serve", "--port", "0", "--driver", "virtual", "--data", dataDir, ...more];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const ready = await Promise.race([
    once(child.stdout.setEncoding("utf8"), "data").then(([line]) => String(line)),
    exited.then(() => ""),
  ]);
  return { child, ready, exited, log: () => stderr };
}

describe("spaces serve", () => {
  it("prints its URL, and the administrator's token once", async () => {
    const first = await serve();
    expect(first.ready).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
    await expect.poll(first.log).toMatch(/export SPACES_TOKEN=spt_[\w-]{43}/);
    const token = /SPACES_TOKEN=(\S+)/.exec(first.log())?.[1];
    const headers = { authorization: `Bearer ${token}`, cookie: "secret=1" };
    const url = `${first.ready.trim()}/v1/system/whoami`;
    const whoami = await fetch(`${url}?x=${token}`, { headers });
    expect(whoami.status).toBe(422);
    expect((await fetch(url, { headers })).status).toBe(200);
    first.child.kill("SIGTERM");
    expect(await first.exited).toEqual([0, null]);
    const lines = first
      .log()
      .split("\n")
      .filter((line) => line.startsWith("{"));
    expect(lines.map((line) => JSON.parse(line)).at(-1)).toMatchObject({
      operation: "system.whoami",
      status: 200,
      actor: expect.any(String),
      durationMs: expect.any(Number),
      requestId: expect.stringMatching(/^req_/),
    });
    expect(lines.join("\n")).not.toContain(token);
    expect(lines.join("\n")).not.toContain("secret=1");
    const second = await serve("--json");
    expect(JSON.parse(second.ready)).toEqual({
      url: expect.stringMatching(/^http:/),
      pid: second.child.pid,
    });
    expect(second.log()).not.toContain("spt_");
    second.child.kill("SIGINT");
    expect(await second.exited).toEqual([0, null]);
  });

  it("refuses a port in use, and what it cannot serve safely", async () => {
    const first = await serve();
    const port = new URL(first.ready.trim()).port;
    const taken = await serve("--port", port);
    expect((await taken.exited)[0]).not.toBe(0);
    expect(taken.log()).toContain("PORT_IN_USE");
    first.child.kill("SIGTERM");
    await first.exited;
    for (const bad of [
      ["--host", "0.0.0.0", "--auth", "none"],
      ["--tls-cert", "/nowhere"],
      ["--tls-cert", "/nowhere", "--tls-key", "/nowhere"],
      ["--public-url", "ftp://x"],
      ["--drain-timeout", "soon"],
    ]) {
      const refused = await serve(...bad);
      expect((await refused.exited)[0], bad.join(" ")).toBe(2);
      expect(refused.log()).toContain("INVALID_INPUT");
    }
  });

  it.skipIf(!hasOpenssl)("serves over TLS 1.2 and newer", async () => {
    const { cert, key } = await makeCertificate(dataDir, "DNS:localhost");
    const { child, ready, exited } = await serve("--tls-cert", cert, "--tls-key", key);
    const { port } = new URL(ready.trim());
    const ca = await readFile(cert);
    const status = await new Promise((resolve, reject) => {
      get({ host: "localhost", port, path: "/readyz", ca, family: 4 }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on("error", reject);
    });
    expect(status).toBe(200);
    const old = connect({
      host: "localhost",
      port: Number(port),
      ca,
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
    });
    const [error] = await once(old, "error");
    expect(error).toBeInstanceOf(Error);
    child.kill("SIGTERM");
    await exited;
  });

  it("lets calls end when it is told to, and cancels those that take too long; spaces stay up", async () => {
    const { child, ready, exited } = await serve("--auth", "none", "--drain-timeout", "5s");
    const url = ready.trim();
    const headers = { "content-type": "application/json" };
    const post = (path: string, body: unknown) =>
      fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
    await post("/v1/spaces", { name: "s" });
    await post("/v1/spaces/s/start", {});
    const run = (command: string) => post("/v1/spaces/s/processes/run", { command });
    const brief = run("sleep 0.4; echo done");
    const long = run("sleep 50");
    await expect
      .poll(async () => (await fetch(`${url}/metrics`)).text())
      .toMatch(/spaces_operations_in_flight 2/);
    child.kill("SIGTERM");
    expect(await (await brief).json()).toMatchObject({ stdout: "done\n" });
    const cancelled = await long;
    expect([cancelled.status, await codeOf(cancelled)]).toEqual([503, "SHUTTING_DOWN"]);
    expect(await exited).toEqual([0, null]);
    await using after = await openTestServer({ dataDir });
    const space = await after.call("GET", "/v1/spaces/s");
    expect(space.body.status).toBe("running");
    await after.call("DELETE", "/v1/spaces/s", { body: { force: true } });
  });

  it("ends at once at a second signal", async () => {
    const { child, ready, exited } = await serve("--auth", "none", "--drain-timeout", "1h");
    const url = ready.trim();
    const headers = { "content-type": "application/json" };
    await fetch(`${url}/v1/spaces`, { method: "POST", headers, body: '{"name":"s"}' });
    const wait = fetch(`${url}/v1/spaces/s/wait`, {
      method: "POST",
      headers,
      body: '{"status":"running","timeoutMs":600000}',
    }).catch(() => "broken off");
    await expect
      .poll(async () => (await fetch(`${url}/metrics`)).text())
      .toMatch(/spaces_operations_in_flight 1/);
    child.kill("SIGTERM");
    await expect.poll(() => fetch(url).catch(() => "refused")).toBe("refused");
    child.kill("SIGTERM");
    expect((await exited)[0]).toBe(143);
    expect(await wait).toBe("broken off");
  });
});
