import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, rename, stat } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { RelayClient } from "./relay-client.js";
import { dial, ending, RELAY, received, TestBench, TestService, until } from "./test-relay.js";

/** Starts the relay as the client does, and stays. */
const MAKER = '"$0" "$1" && echo started && exec sleep 60';
const echo = (socket: Socket) => void socket.pipe(socket);
const host = (port: number) => ({ kind: "host", address: "127.0.0.1", port }) as const;

async function echoes(port: number, text = "hello"): Promise<boolean> {
  const socket = await dial(port);
  socket.end(text);
  return (await ending(socket)).bytes.toString() === text;
}

test("a service on one isolated loopback is fetched from another, and after restarts of both", async () => {
  await using bench = await TestBench.make();
  const [web, api] = await Promise.all([
    bench.space("web", { isolated: true }),
    bench.space("api", { isolated: true }),
  ]);
  await api.serve(3000, "from api");
  expect(await web.fetch(3000)).toBe("ECONNREFUSED");
  const forward = { id: "web:8080", source: web.at(8080), remote: api.at(3000) };
  expect(await bench.client.open(forward)).toEqual({ port: 8080 });
  expect(await web.fetch(8080)).toBe("from api");

  await api.stop();
  expect(await web.fetch(8080)).not.toBe("from api");
  await api.start();
  await api.serve(3000, "from api again");
  expect(await web.fetch(8080)).toBe("from api again");

  await web.stop();
  await until("the forward waits", async () => {
    return (await bench.client.list())[0]?.state === "waiting";
  });
  await web.start();
  expect(await web.fetch(8080)).toBe("ECONNREFUSED");
  await bench.client.open(forward);
  expect(await web.fetch(8080)).toBe("from api again");
});

test("the host reaches a space's own loopback through a port that the host chose", async () => {
  await using bench = await TestBench.make();
  const api = await bench.space("api", { isolated: true });
  await api.serve(3000, "from api");
  const { port } = await bench.client.open({ id: "x", source: host(0), remote: api.at(3000) });
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("from api");
});

test("a connection to a port on which nothing listens ends at once, and the forward goes on", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const closed = await TestService.listen(echo);
  const port = closed.port;
  await closed[Symbol.asyncDispose]();
  const forward = await bench.client.open({ id: "x", source: space.at(0), remote: space.at(port) });
  expect(await received(forward.port)).toBe("");
  expect((await bench.client.list())[0]).toMatchObject({
    failed: 1,
    connections: 0,
    lastErrno: 111,
  });
  bench.own(await TestService.listen(echo, port));
  expect(await echoes(forward.port)).toBe(true);
});

test("the end of one direction is passed on while the other goes on", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service((socket) => {
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.on("end", () => socket.end(`got ${bytes}`));
  });
  const { port } = await bench.client.open({
    ...{ id: "x", source: space.at(0), remote: space.at(service.port) },
  });
  const socket = await dial(port);
  socket.end(Buffer.alloc(5_000_000));
  expect((await ending(socket)).bytes.toString()).toBe("got 5000000");
  expect((await bench.client.list())[0]).toMatchObject({
    ...{ connections: 0, bytesOut: 5_000_000, bytesIn: 11 },
  });
});

test("a reset is passed on as a reset, in both directions", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service((socket) => {
    socket.once("data", (chunk) => {
      if (chunk.toString() === "reset") socket.resetAndDestroy();
      else socket.write("ready");
    });
  });
  const { port } = await bench.client.open({
    ...{ id: "x", source: space.at(0), remote: space.at(service.port) },
  });
  const first = await dial(port);
  first.write("reset");
  expect((await ending(first)).code).toBe("ECONNRESET");

  const second = await dial(port);
  second.write("go");
  await once(second, "data");
  const [inside] = service.sockets;
  if (inside === undefined) throw new Error("the service has no connection");
  const error = once(inside, "error");
  second.resetAndDestroy();
  expect((await error)[0]).toMatchObject({ code: "ECONNRESET" });
});

test("a client that has said all and goes away before the answer does not leave anything behind", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service((socket) => void socket.resume());
  const { port } = await bench.client.open({
    ...{ id: "x", source: space.at(0), remote: space.at(service.port) },
  });
  const socket = await dial(port);
  socket.end("a question");
  await until("it has come", async () => (await bench.client.list())[0]?.bytesOut === 10);
  const [inside] = service.sockets;
  if (inside === undefined) throw new Error("the service has no connection");
  if (!inside.readableEnded) await once(inside, "end");
  socket.resetAndDestroy();
  await until("it is closed", async () => (await bench.client.list())[0]?.connections === 0);
});

test("bytes arrive whole and in order, also when the reader is slow", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const sent = randomBytes(8_000_000);
  const service = await bench.service((socket) => void socket.end(sent));
  const { port } = await bench.client.open({
    ...{ id: "x", source: space.at(0), remote: space.at(service.port) },
  });
  const socket = await dial(port);
  const received: Buffer[] = [];
  for await (const chunk of socket) {
    received.push(chunk);
    if (received.length % 16 === 0) await delay(1);
  }
  expect(Buffer.concat(received).equals(sent)).toBe(true);
});

test("a thousand connections go through one forward at once", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service(echo);
  const { port } = await bench.client.open({
    ...{ id: "x", source: space.at(0), remote: space.at(service.port) },
  });
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(port)));
  await until("all are connected", () => service.sockets.size === 1000);
  expect((await bench.client.list())[0]?.connections).toBe(1000);
  const ends = await Promise.all(
    sockets.map(async (socket, index) => {
      socket.end(`number ${index}`);
      return (await ending(socket)).bytes.toString();
    }),
  );
  expect(ends).toEqual(sockets.map((_, index) => `number ${index}`));
  await until("all are closed", async () => (await bench.client.list())[0]?.connections === 0);
});

test("two hundred forwards are opened at once, each to where it belongs", async () => {
  await using bench = await TestBench.make();
  const [a, b] = await Promise.all([bench.space("a"), bench.space("b")]);
  const service = await bench.service(echo);
  const ports = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const forward = { id: `f${index}`, source: a.at(0), remote: b.at(service.port) };
      return (await bench.client.open(forward)).port;
    }),
  );
  expect(new Set(ports).size).toBe(200);
  expect(await Promise.all(ports.map((port) => echoes(port)))).not.toContain(false);
  expect(await bench.client.closeSpace(b.socket)).toBe(200);
  expect(await bench.client.list()).toEqual([]);
});

test("a forward outlives the process that made it, even one that is killed", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service(echo);
  const maker = spawn("sh", ["-c", MAKER, RELAY, join(bench.directory, "relay.sock")], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(maker.stdout, "data");
  const { port } = await bench.client.open({
    ...{ id: "x", source: space.at(0), remote: space.at(service.port) },
  });
  const exit = once(maker, "exit");
  process.kill(-(maker.pid ?? 0), "SIGKILL");
  await exit;
  expect(await echoes(port)).toBe(true);
});

test("after the relay was killed, the next open starts another one", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service(echo);
  const forward = { id: "x", source: space.at(0), remote: space.at(service.port) };
  await bench.client.open(forward);
  const first = await bench.client.ping();
  process.kill(first ?? 0, "SIGKILL");
  await until("it is gone", async () => (await bench.client.ping()) === undefined);
  expect(await bench.client.list()).toEqual([]);
  const { port } = await bench.client.open(forward);
  expect(await echoes(port)).toBe(true);
  expect(await bench.client.ping()).not.toBe(first);
});

test("many clients that open at once share one relay, and none of their forwards is lost", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service(echo);
  const ports = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const forward = { id: `f${index}`, source: space.at(0), remote: space.at(service.port) };
      return (await bench.newClient().open(forward)).port;
    }),
  );
  expect(await bench.client.list()).toHaveLength(12);
  expect(await Promise.all(ports.map((port) => echoes(port)))).not.toContain(false);
});

test("opening the same forward twice at once gives both the same port", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const forward = { id: "x", source: space.at(0), remote: space.at(9) };
  const [one, two] = await Promise.all([bench.client.open(forward), bench.client.open(forward)]);
  expect(one).toEqual(two);
  expect(await bench.client.list()).toHaveLength(1);
});

test("opening a forward again changes where it leads, and keeps what listens", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const [one, two] = await Promise.all([
    bench.service((socket) => void socket.end("one")),
    bench.service((socket) => void socket.end("two")),
  ]);
  const source = space.at(0);
  const { port } = await bench.client.open({ id: "x", source, remote: space.at(one.port) });
  expect(await received(port)).toBe("one");
  const again = await bench.client.open({ id: "x", source, remote: space.at(two.port) });
  expect(again.port).toBe(port);
  expect(await received(port)).toBe("two");
});

test("a port that is taken is PORT_IN_USE, in a space and on the host", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const { port } = await bench.service(echo);
  for (const source of [space.at(port), host(port)]) {
    await expect(bench.client.open({ id: "x", source, remote: space.at(9) })).rejects.toMatchObject(
      {
        ...{ code: "PORT_IN_USE", details: { port, forward: "x" } },
      },
    );
  }
  expect(await bench.client.list()).toEqual([]);
});

test("closing a forward ends its connections and frees its port", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service(echo);
  const forward = { id: "x", source: space.at(0), remote: space.at(service.port) };
  const { port } = await bench.client.open(forward);
  const socket = await dial(port);
  socket.write("x");
  await once(socket, "data");
  expect(await bench.client.close("x")).toBe(true);
  expect((await ending(socket)).code).toBe("ECONNRESET");
  await until("the service sees it", () => service.sockets.size === 0);
  await expect(dial(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  expect(await bench.client.close("x")).toBe(false);
});

test("a relay without forwards ends, and an open that comes just then is not lost", async () => {
  await using bench = await TestBench.make({ idleMs: 3 });
  const space = await bench.space("a");
  const pids = new Set<number | undefined>();
  for (let round = 0; round < 60; round++) {
    const id = `f${round}`;
    await bench.client.open({ id, source: space.at(0), remote: space.at(9) });
    pids.add(await bench.client.ping());
    expect(await bench.client.close(id)).toBe(true);
    await delay(round % 6);
  }
  expect(pids.size).toBeGreaterThan(1);
  await until("it has ended", async () => (await bench.client.ping()) === undefined);
});

test("without a relay there is nothing to list or close, and none is started for it", async () => {
  await using bench = await TestBench.make();
  expect(await bench.client.list()).toEqual([]);
  expect(await bench.client.close("x")).toBe(false);
  expect(await bench.client.closeSpace("/nowhere")).toBe(0);
  expect(await bench.client.ping()).toBeUndefined();
});

test("bad input is refused before anything is done", async () => {
  await using bench = await TestBench.make();
  const at = (port: number, token = Buffer.alloc(32), socket = "/a") => {
    return { kind: "guest", socket, token, port } as const;
  };
  const good = { id: "x", source: at(1), remote: at(1) };
  const bad = [
    ...[-1, 65_536, 1.5, Number.NaN].flatMap((port) => [
      { ...good, source: at(port) },
      { ...good, remote: at(port) },
    ]),
    ...[
      { ...good, remote: at(0) },
      { ...good, id: "" },
      { ...good, id: "x".repeat(129) },
      { ...good, id: "a\0b" },
      { ...good, source: at(1, Buffer.alloc(31)) },
      { ...good, source: at(1, Buffer.alloc(32), "relative") },
      { ...good, source: { kind: "host", address: "0.0.0.0", port: 1 } as const },
    ],
  ];
  for (const request of bad) {
    await expect(bench.client.open(request)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  }
  expect(await bench.client.ping()).toBeUndefined();
});

test("an agent that is not there, or knows another token, is DRIVER_FAILED", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const wrong = { ...space.at(0), token: randomBytes(32) };
  const absent = { ...space.at(0), socket: join(bench.directory, "absent.sock") };
  for (const source of [wrong, absent]) {
    const opened = bench.client.open({ id: "x", source, remote: space.at(9) });
    await expect(opened).rejects.toMatchObject({ code: "DRIVER_FAILED" });
  }
  expect(await bench.client.list()).toEqual([]);
});

test("a program that is not there is DRIVER_UNAVAILABLE", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const controlSocket = join(bench.directory, "other.sock");
  const client = new RelayClient({ controlSocket, binary: join(bench.directory, "none") });
  const opened = client.open({ id: "x", source: host(0), remote: space.at(9) });
  await expect(opened).rejects.toMatchObject({ code: "DRIVER_UNAVAILABLE" });
});

test("paths that are too long for the address of a socket work", async () => {
  await using bench = await TestBench.make();
  const space = await bench.space("a");
  const service = await bench.service(echo);
  const deep = join(bench.directory, "d".repeat(100), "e".repeat(100));
  await mkdir(deep, { recursive: true, mode: 0o700 });
  await rename(space.socket, join(deep, "agent.sock"));
  const moved = (port: number) => ({ ...space.at(port), socket: join(deep, "agent.sock") });
  const client = new RelayClient({ controlSocket: join(deep, "relay.sock"), binary: RELAY });
  const { port } = await client.open({ id: "x", source: moved(0), remote: moved(service.port) });
  expect(await echoes(port)).toBe(true);
  expect((await stat(join(deep, "relay.sock"))).mode & 0o777).toBe(0o600);
  await client.shutdown();
});
