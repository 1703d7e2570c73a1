/** What a token has under way ends with it, whatever it is and whether or not the other side reads. */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestServer, type TestServer } from "./test-server.js";

let test: TestServer;
let other: TestServer;
beforeAll(async () => {
  test = await openTestServer();
  other = await test.another();
  await test.call("POST", "/v1/spaces", { body: { name: "s" } });
  await test.call("POST", "/v1/spaces/s/start");
  await test.fetch("/v1/spaces/s/files/content?path=large", {
    method: "PUT",
    headers: { "content-type": "application/octet-stream" },
    body: Buffer.alloc(64 * 1024 * 1024, "a"),
  });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
});

const metric = async (name: string): Promise<number> =>
  Number(new RegExp(`^${name} (\\d+)$`, "m").exec((await test.call("GET", "/metrics")).body)?.[1]);
const open = () => metric("spaces_streams_open");

/** Ways of an end: by this server, by another one, and by time. */
const ENDS: readonly (readonly [string, number | undefined, () => TestServer])[] = [
  ["revoked", undefined, () => test],
  ["revoked by another server", undefined, () => other],
  ["expires", 1_500, () => test],
];

describe.each(ENDS)("when a token is %s", (_, expiresInMs, at) => {
  const make = async (): Promise<{ token: string; end: () => Promise<unknown> }> => {
    const body = { name: "short", ...(expiresInMs === undefined ? {} : { expiresInMs }) };
    const made = (await test.call("POST", "/v1/tokens", { body })).body;
    const revoke = () => at().call("DELETE", `/v1/tokens/${made.id}`);
    return { token: made.token, end: async () => expiresInMs === undefined && revoke() };
  };

  it("a download ends of which nobody reads", async () => {
    const { token, end } = await make();
    const response = await test.fetch("/v1/spaces/s/files/content?path=large", {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(response.status).toBe(200);
    expect(await open()).toBe(1);
    await end();
    await expect.poll(open, { timeout: 5_000 }).toBe(0);
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  it("an upload ends that stands still, and leaves nothing", async () => {
    const { token, end } = await make();
    const sent = request(`${test.url}/v1/spaces/s/files/content?path=half`, {
      method: "PUT",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/octet-stream",
      },
    });
    const status = new Promise<number | undefined>((resolve) => {
      sent.on("response", (response) => resolve(response.resume().statusCode));
      sent.on("error", () => resolve(undefined));
    });
    sent.write(Buffer.alloc(100_000));
    await expect.poll(open).toBe(1);
    await end();
    expect(await status).toBe(401);
    sent.destroy();
    await expect.poll(open, { timeout: 5_000 }).toBe(0);
    const { body } = await test.call("GET", "/v1/spaces/s/files?path=.");
    expect(body.items.map(({ path }: { path: string }) => path).join()).not.toContain("half");
  });

  it("a command ends that runs for long, and a wait", async () => {
    const { token, end } = await make();
    const run = test.call("POST", "/v1/spaces/s/processes/run", {
      body: { command: "sleep 30" },
      token,
    });
    const wait = test.call("POST", "/v1/spaces/s/wait", {
      body: { status: "stopped", timeoutMs: 30_000 },
      token,
    });
    await expect.poll(() => metric("spaces_operations_in_flight")).toBe(2);
    await end();
    for (const { status, body } of await Promise.all([run, wait])) {
      expect([status, body.code]).toEqual([401, "UNAUTHENTICATED"]);
    }
    const isBusy = async () => (await test.call("GET", "/v1/spaces/s")).body.activity;
    await expect.poll(isBusy).toBe("idle");
  });
});
