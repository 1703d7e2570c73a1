/** Webhooks sent to real servers, that take them, refuse, redirect, hang or never stop answering. */
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  isSigned,
  openReceiver,
  type WebhookReceiver,
} from "../../../test/support/webhook-receiver.js";
import { sendWebhook, signatureOf, type WebhookOptions } from "./webhook.js";

const NOW = 1_700_000_000_500;
let receiver: WebhookReceiver;
beforeEach(async () => {
  receiver = await openReceiver();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await receiver[Symbol.asyncDispose]();
});

const send = (
  url = receiver.url,
  options: Partial<WebhookOptions> = {},
  secret: string | undefined = "0123456789",
): Promise<void> =>
  sendWebhook(
    { url, secret, event: "job.failed", delivery: "job_1.1", body: '{"ü":1}' },
    { allowedHosts: ["127.0.0.1"], now: NOW, ...options },
  );

describe("a webhook", () => {
  it("is a POST of JSON that names the event and the delivery", async () => {
    await send();
    expect(receiver.received).toHaveLength(1);
    const [{ path, headers, body } = { path: "", headers: {}, body: "" }] = receiver.received;
    expect({ path, body }).toEqual({ path: "/hook?key=k", body: '{"ü":1}' });
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "spaces-event": "job.failed",
      "spaces-delivery": "job_1.1",
      "user-agent": expect.stringMatching(/^spaces\//),
    });
  });

  it("is signed over the time and the body where there is a secret", async () => {
    await send();
    const [message] = receiver.received;
    if (message === undefined) throw new Error("nothing came");
    expect(message.headers["spaces-signature"]).toMatch(/^t=1700000000,v1=/);
    expect(isSigned(message, "0123456789")).toBe(true);
    expect(isSigned(message, "another-secret")).toBe(false);
    expect(isSigned({ ...message, body: `${message.body} ` }, "0123456789")).toBe(false);
  });

  it("has a signature that others can compute", () => {
    // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    expect(signatureOf("{}", "key", 1_700_000_000)).toBe(
      "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae",
    );
  });

  it("is unsigned without a secret", async () => {
    await sendWebhook(
      { url: receiver.url, secret: undefined, event: "e", delivery: "d", body: "{}" },
      { allowedHosts: ["127.0.0.1"], now: NOW },
    );
    expect(receiver.received[0]?.headers).not.toHaveProperty("spaces-signature");
  });
});

describe("a receiver", () => {
  it.each([400, 410, 500, 503])("that answers with %s has not taken it", async (status) => {
    receiver.answer((response) => response.writeHead(status).end("secret words"));
    await expect(send()).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: `The webhook at ${receiver.host} answered with ${status}.`,
    });
  });

  it.each([301, 302, 307, 308])("that redirects with %s is not followed", async (status) => {
    receiver.answer((response) =>
      response.writeHead(status, { location: "http://169.254.169.254/" }).end(),
    );
    await expect(send()).rejects.toMatchObject({
      message: expect.stringContaining(`answered with ${status}, a redirect`),
    });
    expect(receiver.received).toHaveLength(1);
  });

  it("that never ends its answer is not listened to beyond the status", async () => {
    let closed: Promise<unknown> | undefined;
    receiver.answer((response) => {
      closed = once(response, "close");
      response.writeHead(200);
      const more = (): void => {
        while (response.write("x".repeat(65_536)));
      };
      response.on("drain", more);
      more();
    });
    await send();
    await closed;
  });

  it("that says nothing is given up", async () => {
    receiver.answer(() => undefined);
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 50);
      return abort.signal;
    });
    await expect(send()).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    expect(AbortSignal.timeout).toHaveBeenCalledWith(10_000);
  });

  it("that is not there is told of without the URL's own secrets", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const { port } = free.address() as { port: number };
    free.close();
    await once(free, "close");
    const failure = await send(`http://127.0.0.1:${port}/hook?key=hidden`).catch((e) => e);
    expect(failure).toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: `The webhook at 127.0.0.1:${port} could not be reached (ECONNREFUSED).`,
    });
  });

  it("that speaks no HTTP is told of without the URL's own secrets", async () => {
    const garbled = createServer((socket) => socket.end("220 mail ready\r\n"));
    garbled.listen(0, "127.0.0.1");
    await once(garbled, "listening");
    const { port } = garbled.address() as { port: number };
    const failure = await send(`http://127.0.0.1:${port}/hook?key=hidden`).catch((e) => e);
    garbled.close();
    expect(failure.code).toBe("SERVER_UNREACHABLE");
    expect(failure.message).not.toContain("hidden");
  });
});

describe("an address that is not public", () => {
  it.each([
    "http://127.0.0.1:1/",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]:1/",
    "http://[::ffff:127.0.0.1]:1/",
    "http://0x7f.1:1/",
    "http://2130706433:1/",
  ])("is refused as %s", async (url) => {
    await expect(send(url, { allowedHosts: [] })).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      suggestion: expect.stringContaining("--webhook-host"),
    });
  });

  it("is refused behind a name", async () => {
    const url = receiver.url.replace("127.0.0.1", "hooks.example.org");
    const resolve = async () => [
      { address: "93.184.216.34", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ];
    await expect(send(url, { resolve })).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect(receiver.received).toEqual([]);
  });

  it("is reached where the operator allows the name, with any port or this one", async () => {
    const url = receiver.url.replace("127.0.0.1", "ci.internal.example.org");
    const { port } = new URL(url);
    const resolve = async () => [{ address: "127.0.0.1", family: 4 }];
    for (const allowed of [
      "ci.internal.example.org",
      `ci.internal.example.org:${port}`,
      "*.internal.example.org",
    ]) {
      await send(url, { resolve, allowedHosts: [allowed] });
    }
    expect(receiver.received).toHaveLength(3);
    for (const other of ["internal.example.org", "ci.internal.example.org:1", "127.0.0.1"]) {
      await expect(send(url, { resolve, allowedHosts: [other] })).rejects.toMatchObject({
        code: "PERMISSION_DENIED",
      });
    }
  });
});
