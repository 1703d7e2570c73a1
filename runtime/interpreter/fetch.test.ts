/** Requests against real local servers; names are resolved by the tests themselves. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import type { Resolve } from "./address-guard.js";
import { type FetchAnswer, guardedFetch, MAX_BODY_BYTES } from "./fetch.js";

const servers: Server[] = [];
const never = new AbortController().signal;
const toLocal: Resolve = async () => [{ address: "127.0.0.1", family: 4 }];

afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  );
});

/** Starts a server, gives its `127.0.0.1:port`. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answered(answer: object): Exclude<FetchAnswer, { failure: string }> {
  if (!("status" in answer)) throw new Error(JSON.stringify(answer));
  return answer as Exclude<FetchAnswer, { failure: string }>;
}

const textOf = (answer: object) => Buffer.from(answered(answer).body, "base64").toString();

const get = (url: string, net: readonly string[] | true, more: object = {}) =>
  guardedFetch({ url, ...more }, { net }, never);

const refused = (code: string, message: RegExp = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe("a request", () => {
  it("reaches an allowed host, and brings everything back", async () => {
    const host = await serve((request, response) => {
      response.writeHead(
        201,
        "Made",
        [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ].flat(),
      );
      response.end(`${request.method} ${request.url}`);
    });
    const answer = answered(await get(`http://${host}/path?q=1#hash`, [host]));
    expect(answer).toMatchObject({
      status: 201,
      statusText: "Made",
      url: `http://${host}/path?q=1`,
      redirected: false,
    });
    expect(answer.headers.filter(([name]) => name === "set-cookie")).toEqual([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    expect(textOf(answer)).toBe("GET /path?q=1");
  });

  it("carries method, headers and body", async () => {
    const host = await serve(async (request, response) => {
      response.end(`${request.method} ${request.headers["x-a"]} ${await text(request)}`);
    });
    const answer = await get(`http://${host}/`, [host], {
      method: "post",
      headers: [["X-A", "b"]],
      body: Buffer.from("bödy").toString("base64"),
    });
    expect(textOf(answer)).toBe("POST b bödy");
  });

  it("says that the network failed as a value, without the host's own words", async () => {
    const host = await serve((request) => request.destroy());
    expect(await get(`http://${host}/`, [host])).toEqual({
      failure: `GET http://${host} failed (ECONNRESET)`,
    });
  });

  it("ends when its signal says so", async () => {
    const controller = new AbortController();
    const host = await serve(() => controller.abort());
    const request = guardedFetch({ url: `http://${host}/` }, { net: [host] }, controller.signal);
    await expect(request).rejects.toEqual(refused("CANCELLED"));
  });
});

it("is ended by a cancel with its number, and by no other", async () => {
  const { signal } = new AbortController();
  let arrived: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const host = await serve(() => arrived());
  const request = guardedFetch({ id: 1, url: `http://${host}/` }, { net: [host] }, signal);
  const ended = expect(request).rejects.toEqual(refused("CANCELLED"));
  await reached;
  expect(await guardedFetch({ cancel: 2 }, {}, signal)).toEqual({});
  expect(await guardedFetch({ cancel: 1 }, {}, new AbortController().signal)).toEqual({});
  expect(await guardedFetch({ cancel: 1 }, {}, signal)).toEqual({});
  await ended;
});

describe("permissions come first", () => {
  it("refuses every host without them, and names the flag", async () => {
    await expect(guardedFetch({ url: "http://example.org/" }, {}, never)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      suggestion: "Run the script with --allow-net example.org",
    });
  });

  it.each(["file:///etc/passwd", "gopher://x/", "data:text/plain,x", "ftp://x/", "unix:/x"])(
    "refuses the scheme of %s",
    async (url) => {
      await expect(get(url, true)).rejects.toEqual(refused("PERMISSION_DENIED", /scheme/));
    },
  );

  it("refuses credentials in the URL", async () => {
    await expect(get("http://user@example.org/", true)).rejects.toEqual(
      refused("INVALID_INPUT", /user name/),
    );
  });
});

describe("addresses", () => {
  it.each([
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://0x7f.1/",
    "http://0.0.0.0/",
    "http://0/",
    "http://127.0.0.1./",
    "http://①②⑦.0.0.1/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[fe80::5efe:7f00:1]/",
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:2375/containers/json",
  ])("refuses %s though every host is allowed", async (url) => {
    await expect(get(url, true)).rejects.toEqual(refused("PERMISSION_DENIED", /not a public/));
  });

  it.each(["localhost", "localhost.", "metadata.google.internal", "rebound.example.org"])(
    "refuses %s, which resolves to a private address",
    async (host) => {
      const request = guardedFetch({ url: `http://${host}/` }, { net: true }, never, toLocal);
      await expect(request).rejects.toEqual(refused("PERMISSION_DENIED", /not a public/));
    },
  );

  it("refuses a name of which only one address is private", async () => {
    const mixed: Resolve = async () => [
      { address: "93.184.216.34", family: 4 },
      { address: "::ffff:127.0.0.1", family: 6 },
    ];
    const request = guardedFetch({ url: "http://mixed.example/" }, { net: true }, never, mixed);
    await expect(request).rejects.toEqual(refused("PERMISSION_DENIED"));
  });

  it("asks for the addresses of a name once, so that they cannot change after the check", async () => {
    let asked = 0;
    const rebinding: Resolve = async () => {
      asked += 1;
      return [{ address: asked === 1 ? "127.0.0.1" : "8.8.8.8", family: 4 }];
    };
    const host = await serve((_, response) => response.end("local"));
    const port = host.split(":")[1];
    const allowed = { net: [`localhost:${port}`] };
    const url = `http://localhost:${port}/`;
    expect(textOf(await guardedFetch({ url }, allowed, never, rebinding))).toBe("local");
    expect(asked).toBe(1);
  });

  it("does not let a public name lead to a private address, even when it is named with its port", async () => {
    const host = await serve((_, response) => response.end("secret"));
    const port = host.split(":")[1];
    const url = `http://public.example:${port}/`;
    const request = guardedFetch({ url }, { net: [`public.example:${port}`] }, never, toLocal);
    await expect(request).rejects.toEqual(refused("PERMISSION_DENIED"));
  });
});

describe("redirects", () => {
  const redirectTo = (location: string, status = 302): RequestListener => {
    return (_, response) => response.writeHead(status, { location }).end();
  };

  it("are followed, relative ones too", async () => {
    const host = await serve((request, response) => {
      if (request.url === "/") redirectTo("next")(request, response);
      else response.end(request.url);
    });
    const answer = await get(`http://${host}/`, [host]);
    expect(textOf(answer)).toBe("/next");
    expect(answer).toMatchObject({ redirected: true, url: `http://${host}/next` });
  });

  it("are checked for permission at every hop", async () => {
    const secret = await serve((_, response) => response.end("secret"));
    const host = await serve(redirectTo(`http://${secret}/`));
    await expect(get(`http://${host}/`, [host])).rejects.toEqual(refused("PERMISSION_DENIED"));
  });

  it("are checked for their address at every hop", async () => {
    const host = await serve(redirectTo("http://[::ffff:a9fe:a9fe]/"));
    await expect(get(`http://${host}/`, [host, "[::ffff:a9fe:a9fe]"])).rejects.toEqual(
      refused("PERMISSION_DENIED", /not a public/),
    );
  });

  it("lead to no other scheme", async () => {
    const host = await serve(redirectTo("file:///etc/passwd"));
    await expect(get(`http://${host}/`, [host])).rejects.toEqual(
      refused("PERMISSION_DENIED", /scheme/),
    );
  });

  it("do not carry credentials to another origin", async () => {
    let seen: IncomingMessage["headers"] = {};
    const other = await serve((request, response) => {
      seen = request.headers;
      response.end();
    });
    const host = await serve(redirectTo(`http://${other}/`));
    await get(`http://${host}/`, [host, other], {
      headers: [
        ["Authorization", "Bearer x"],
        ["Cookie", "a=b"],
        ["X-Kept", "yes"],
      ],
    });
    expect(seen).toMatchObject({ "x-kept": "yes" });
    expect(seen).not.toHaveProperty("authorization");
    expect(seen).not.toHaveProperty("cookie");
  });

  it.each([
    [301, "GET"],
    [302, "GET"],
    [303, "GET"],
    [307, "POST"],
    [308, "POST"],
  ])("of status %i turn a POST into a %s", async (status, method) => {
    const host = await serve(async (request, response) => {
      if (request.url === "/") redirectTo("/next", status)(request, response);
      else response.end(`${request.method} ${await text(request)}`);
    });
    const body = Buffer.from("x").toString("base64");
    const answer = await get(`http://${host}/`, [host], { method: "POST", body });
    expect(textOf(answer)).toBe(method === "POST" ? "POST x" : "GET ");
  });

  it("end after ten hops", async () => {
    let hops = 0;
    const host = await serve((request, response) => {
      hops += 1;
      redirectTo("/")(request, response);
    });
    expect(await get(`http://${host}/`, [host])).toEqual({ failure: "more than 10 redirects" });
    expect(hops).toBe(11);
  });

  it("are given back or refused on demand", async () => {
    const host = await serve(redirectTo("http://elsewhere.example/"));
    expect(await get(`http://${host}/`, [host], { redirect: "manual" })).toMatchObject({
      status: 302,
      redirected: false,
    });
    expect(await get(`http://${host}/`, [host], { redirect: "error" })).toHaveProperty("failure");
  });
});

describe("headers and methods", () => {
  it.each([
    [["x-a", "b\r\nx-c: d"]],
    [["x-a", "b\nc"]],
    [["x-a", "\0"]],
    [["x-a\r\nx-b", "c"]],
    [["x a", "b"]],
    [["x-a", "ü€"]],
    [["Host", "internal"]],
    [["connection", "upgrade"]],
    [["Transfer-Encoding", "chunked"]],
    [["content-length", "5"]],
    [["proxy-authorization", "x"]],
    [["x-a"]],
    ["x-a"],
  ])("refuses the header %j", async (header) => {
    await expect(get("http://example.org/", true, { headers: [header] })).rejects.toEqual(
      refused("INVALID_INPUT"),
    );
  });

  it.each(["CONNECT", "TRACE", "GET / HTTP/1.1\r\n", ""])(
    "refuses the method %j",
    async (method) => {
      await expect(get("http://example.org/", true, { method })).rejects.toEqual(
        refused("INVALID_INPUT", /method/),
      );
    },
  );

  it.each([undefined, null, 5, "text", { url: 5 }, { url: "no url" }, { url: "http://" }])(
    "refuses the input %j",
    async (input) => {
      await expect(guardedFetch(input, { net: true }, never)).rejects.toEqual(
        refused("INVALID_INPUT"),
      );
    },
  );
});

describe("bounds", () => {
  it("refuses a request body above the limit", async () => {
    const body = "A".repeat(Math.ceil(MAX_BODY_BYTES / 3) * 4 + 4);
    await expect(get("http://example.org/", true, { method: "PUT", body })).rejects.toEqual(
      refused("LIMIT_EXCEEDED"),
    );
  });

  it("stops reading a response above the limit, also one that is small while compressed", async () => {
    const bomb = gzipSync(Buffer.alloc(MAX_BODY_BYTES + 1));
    const host = await serve((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    });
    await expect(get(`http://${host}/`, [host])).rejects.toEqual(refused("LIMIT_EXCEEDED"));
  });

  it("stops reading a response without end", async () => {
    const host = await serve((_, response) => {
      const chunk = Buffer.alloc(1 << 20);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", more);
      more();
    });
    await expect(get(`http://${host}/`, [host])).rejects.toEqual(refused("LIMIT_EXCEEDED"));
  });

  it("refuses headers above the limit", async () => {
    const headers = [["x-a", "b".repeat(70_000)]];
    await expect(get("http://example.org/", true, { headers })).rejects.toEqual(
      refused("LIMIT_EXCEEDED"),
    );
  });
});
