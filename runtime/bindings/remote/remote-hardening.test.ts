import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer as createHttp, request as httpRequest, type Server } from "node:http";
import { createServer as createTls } from "node:https";
import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocketServer } from "ws";
import { canMakeCertificates, makeCertificate } from "../../../test/support/certificates.js";
import { parseServerUrl } from "../../config/server-address.js";
import { openRemote } from "./remote.js";
import { type Answer, json, TestServer } from "./test-server.js";

const open = new Set<AsyncDisposable>();
const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

async function serve(answer: Answer, create?: (listener: Answer) => Server): Promise<TestServer> {
  const server = await TestServer.open(
    answer,
    create === undefined ? {} : { create: create as never },
  );
  open.add(server);
  return server;
}

beforeAll(() => {
  for (const name of PROXY_VARIABLES) vi.stubEnv(name, "");
});
afterEach(async () => {
  for (const each of open) await each[Symbol.asyncDispose]();
  open.clear();
  for (const name of [...PROXY_VARIABLES, "SPACES_CA_FILE"]) vi.stubEnv(name, "");
});
afterAll(() => {
  vi.unstubAllEnvs();
});

describe("the URL of a server", () => {
  it.each([
    ["http://127.0.0.1:7700", "http://127.0.0.1:7700", "http://127.0.0.1:7700/v1"],
    ["HTTPS://Example.org:443/", "https://example.org", "https://example.org/v1"],
    ["https://example.org/a/b/v1/", "https://example.org/a/b", "https://example.org/a/b/v1"],
    ["unix:///run/s.sock", "unix:///run/s.sock", "http://localhost/v1"],
  ])("%s has one form", (text, url, base) => {
    const address = parseServerUrl(text);
    expect(address.url).toBe(url);
    expect(address.base.href).toBe(base);
  });

  it.each([
    "",
    "localhost:7700",
    "ftp://x",
    "http://",
    "unix://host/run/s.sock",
    "unix:///",
    "unix:///a%00b",
    "http://x/?a=1",
    "http://x/#a",
    "http://me:spt_secret@x",
  ])("is not %j", (text) => {
    try {
      parseServerUrl(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID_INPUT" });
      expect((error as Error).message).not.toContain("spt_secret");
    }
  });

  it("goes with a token that is one word", async () => {
    await expect(openRemote({ url: "http://x", token: "a\r\nhost: b" })).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });
});

describe("a server that is none", () => {
  const PAGE = "<html><head><title>Sign in to the network</title></head></html>";

  it.each<[string, Answer, RegExp]>([
    [
      "a page",
      (_q, r) => r.writeHead(200, { "content-type": "text/html" }).end(PAGE),
      /text\/html/,
    ],
    ["a page as an error", (_q, r) => r.writeHead(403).end(PAGE), /403.*Sign in to the network/],
    [
      "text as JSON",
      (_q, r) => r.writeHead(200, { "content-type": "application/json" }).end("{"),
      /cannot be read/,
    ],
    ["JSON that is no object", (_q, r) => json(r, [1]), /no object/],
    ["an empty answer", (_q, r) => r.writeHead(204).end(), /no type/],
    ["an error without a code", (_q, r) => json(r, { error: "no" }, 400), /400/],
  ])("answers %s, and the error says what came", async (_name, answer, message) => {
    const server = await serve(answer);
    const { client } = await server.connect();
    const error = await client.spaces.create({ name: "box" }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "SERVER_UNREACHABLE" });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(server.url);
  });

  it("speaks no HTTP", async () => {
    const tcp = createTcp((socket) => {
      socket.on("error", () => undefined).end("220 smtp.example ESMTP\r\n");
    });
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", () => resolve()));
    const { port } = tcp.address() as AddressInfo;
    await using binding = await openRemote({ url: `http://127.0.0.1:${port}`, attempts: 1 });
    await expect(binding.client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("HPE_"),
    });
    tcp.close();
  });

  it("never finishes connecting", async () => {
    // A full backlog: the system accepts for it, and nothing answers the handshake of TLS.
    const silent = createTcp(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", () => resolve()));
    const { port } = silent.address() as AddressInfo;
    await using binding = await openRemote({
      url: `https://127.0.0.1:${port}`,
      connectTimeoutMs: 150,
      attempts: 2,
    });
    await expect(binding.client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("CONNECT_TIMEOUT"),
    });
    silent.close();
  });

  it("is not there", async () => {
    await using nowhere = await openRemote({ url: "http://127.0.0.1:1", attempts: 1 });
    await expect(nowhere.client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringMatching(/127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/),
    });
    await using noSocket = await openRemote({ url: "unix:///nowhere/x.sock", attempts: 1 });
    await expect(noSocket.client.spaces.list({})).rejects.toMatchObject({
      message: expect.stringMatching(/unix:\/\/\/nowhere\/x.sock .*no such socket \(ENOENT\)/),
    });
  });

  it("sends events of another form, or without end", async () => {
    const target = { space: "box", process: "0".repeat(32) };
    for (const text of [
      'data: {"type":"stdout"}\n\n',
      "data: {\n\n",
      `data: ${"x".repeat(2 ** 25)}`,
    ]) {
      const server = await serve((_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write(text);
      });
      const { client } = await server.connect();
      const followed = await client.processes.follow(target);
      await expect(followed[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: "SERVER_UNREACHABLE",
      });
      expect(server.requests).toHaveLength(1);
    }
  });
});

describe("a name that would change the route", () => {
  it.each(["", ".", "..", "\ud800", "a".repeat(10_000)])("%j is not sent", async (space) => {
    const server = await serve((_request, response) => json(response, {}));
    const binding = await server.connect();
    const refused = { code: "INVALID_INPUT" };
    await expect(binding.client.spaces.delete({ space })).rejects.toMatchObject(refused);
    await expect(binding.client.scripts.delete({ script: space })).rejects.toMatchObject(refused);
    await expect(binding.attach({ space, process: "x" })).rejects.toMatchObject(refused);
    expect(server.requests).toHaveLength(0);
  });
});

describe("a redirect", () => {
  it("is not followed, and the token goes nowhere else", async () => {
    const thief = await serve((_request, response) => json(response, { items: [] }));
    const server = await serve((_request, response) => {
      response.writeHead(307, { location: `${thief.url}/v1/spaces` }).end();
    });
    const { client } = await server.connect({ token: "spt_secret" });
    await expect(client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining(`redirects to ${thief.url}`),
    });
    const target = { space: "box", process: "0".repeat(32) };
    server.http.on("upgrade", (_request, socket) => {
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${thief.url}/\r\nContent-Length: 0\r\n\r\n`);
    });
    await expect((await server.connect({ token: "t" })).attach(target)).rejects.toMatchObject({
      message: expect.stringContaining("redirects"),
    });
    expect(thief.requests).toHaveLength(0);
  });
});

/** A real proxy: passes on requests with whole URLs, and opens tunnels. */
class TestProxy implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly #http = createHttp((request, response) => {
    this.seen.push(`${request.method} ${request.url}`);
    const { method, headers } = request;
    const onward = httpRequest(request.url ?? "", { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });

  async open(): Promise<string> {
    this.#http.on("connect", (request, socket, head) => {
      this.seen.push(`CONNECT ${request.url}`);
      const [host = "", port] = (request.url ?? "").split(":");
      const onward = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        onward.write(head);
        onward.pipe(socket).pipe(onward);
      });
      onward.on("error", () => socket.destroy());
      socket.on("error", () => onward.destroy());
      socket.on("close", () => onward.destroy());
    });
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", () => resolve()));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

async function openProxy(): Promise<{ proxy: TestProxy; url: string }> {
  const proxy = new TestProxy();
  open.add(proxy);
  return { proxy, url: await proxy.open() };
}

describe("a proxy of the environment", () => {
  it("is used for calls, and for attachments through a tunnel", async () => {
    const server = await serve((_request, response) => json(response, { items: [] }));
    const sockets = new WebSocketServer({ server: server.http });
    sockets.on("connection", (socket) => {
      socket.send('{"type":"position","stdout":0}');
      socket.send('{"type":"exit","exitCode":5}');
    });
    const { proxy, url } = await openProxy();
    vi.stubEnv("http_proxy", url);
    const binding = await server.connect();
    expect(await binding.client.spaces.list({})).toEqual({ items: [] });
    await using attachment = await binding.attach({ space: "box", process: "0".repeat(32) });
    for await (const event of attachment.events) expect(event).toMatchObject({ exitCode: 5 });
    expect(proxy.seen).toEqual([`GET ${server.url}/v1/spaces`, `CONNECT 127.0.0.1:${server.port}`]);
  });

  it("is not used for hosts of NO_PROXY, nor for unix sockets", async () => {
    const server = await serve((_request, response) => json(response, { items: [] }));
    const { proxy, url } = await openProxy();
    vi.stubEnv("http_proxy", url);
    vi.stubEnv("all_proxy", url);
    vi.stubEnv("no_proxy", "127.0.0.1");
    expect(await (await server.connect()).client.spaces.list({})).toEqual({ items: [] });
    vi.stubEnv("no_proxy", "");
    await using unix = await openRemote({ url: "unix:///nowhere/x.sock", attempts: 1 });
    await expect(unix.client.spaces.list({})).rejects.toMatchObject({
      message: expect.stringContaining("ENOENT"),
    });
    expect(proxy.seen).toEqual([]);
  });

  it("that refuses is told from the server", async () => {
    const refusing = await serve((_request, response) =>
      response.writeHead(407).end("who are you"),
    );
    vi.stubEnv("http_proxy", refusing.url);
    await using binding = await openRemote({ url: "http://spaces.example", attempts: 1 });
    await expect(binding.client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("407"),
    });
    vi.stubEnv("http_proxy", "socks5://127.0.0.1:1");
    await expect(openRemote({ url: "http://spaces.example" })).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });
});

const openssl = await canMakeCertificates();

describe.skipIf(!openssl)("a server with TLS", () => {
  let directory: string;
  let key: string;
  let cert: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "spaces-tls-"));
    const files = await makeCertificate(directory, "IP:127.0.0.1");
    key = await readFile(files.key, "utf8");
    cert = await readFile(files.cert, "utf8");
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const secure = (answer: Answer) =>
    serve(answer, (listener) => createTls({ key, cert }, listener) as unknown as Server);

  it("is trusted with SPACES_CA_FILE alone, also through a proxy", async () => {
    const server = await secure((_request, response) => json(response, { items: [] }));
    const url = `https://127.0.0.1:${server.port}`;
    const distrusting = await server.connect({ url });
    await expect(distrusting.client.spaces.list({})).rejects.toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: expect.stringContaining("SELF_SIGNED"),
      suggestion: expect.stringContaining("SPACES_CA_FILE"),
    });
    expect(server.requests).toHaveLength(0);
    vi.stubEnv("SPACES_CA_FILE", join(directory, "cert.pem"));
    expect(await (await server.connect({ url })).client.spaces.list({})).toEqual({ items: [] });
    const { proxy, url: through } = await openProxy();
    vi.stubEnv("https_proxy", through);
    expect(await (await server.connect({ url })).client.spaces.list({})).toEqual({ items: [] });
    expect(proxy.seen).toEqual([`CONNECT 127.0.0.1:${server.port}`]);
    vi.stubEnv("SPACES_CA_FILE", join(directory, "none.pem"));
    await expect(openRemote({ url })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("that speaks plain HTTP, or a name that it is not made for, has a hint of its own", async () => {
    const plain = await serve((_request, response) => json(response, {}));
    const binding = await plain.connect({ url: `https://127.0.0.1:${plain.port}`, attempts: 1 });
    await expect(binding.client.spaces.list({})).rejects.toMatchObject({
      suggestion: expect.stringContaining("easily confused"),
    });
    const server = await secure((_request, response) => json(response, { items: [] }));
    vi.stubEnv("SPACES_CA_FILE", join(directory, "cert.pem"));
    const named = await server.connect({ url: `https://localhost:${server.port}`, attempts: 1 });
    await expect(named.client.spaces.list({})).rejects.toMatchObject({
      suggestion: expect.stringContaining("host name"),
    });
  });
});
