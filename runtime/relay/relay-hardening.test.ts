import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RelayClient } from "./relay-client.js";
import { Command, encodeRequest, type GuestEndpoint } from "./relay-protocol.js";
import { dial, end, ending, RELAY, received, TestBench, until } from "./test-relay.js";

const HOSTILE = fileURLToPath(new URL("./test-hostile-agent.py", import.meta.url));
const MISBEHAVED = 4001;
const host = (port: number) => ({ kind: "host", address: "127.0.0.1", port }) as const;

let bench: TestBench;
let good: { readonly port: number; readonly at: (port: number) => GuestEndpoint };
let pid: number | undefined;

beforeAll(async () => {
  bench = await TestBench.make();
  const space = await bench.space("good");
  const service = await bench.service((socket: Socket) => void socket.pipe(socket));
  const { port } = await bench.client.open({
    ...{ id: "good", source: space.at(0), remote: space.at(service.port) },
  });
  good = { port, at: (asked) => space.at(asked) };
  pid = await bench.client.ping();
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** The relay is the same as before, and the forward of others goes on. */
async function expectUnharmed(): Promise<void> {
  const socket = await dial(good.port);
  socket.end("hello");
  expect((await ending(socket)).bytes.toString()).toBe("hello");
  expect(await bench.client.ping()).toBe(pid);
}

async function hostileAgent(mode: string): Promise<AsyncDisposable & GuestEndpoint> {
  const socket = join(bench.directory, `${mode}.sock`);
  await rm(socket, { force: true });
  const child = spawn("python3", [HOSTILE, socket, mode], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until("the hostile agent listens", () => existsSync(socket));
  return {
    ...{ kind: "guest", socket, token: Buffer.alloc(32), port: 0 },
    [Symbol.asyncDispose]: () => end(child),
  };
}

async function stateOf(id: string) {
  return (await bench.client.list()).find((forward) => forward.id === id);
}

const WORDS = ["greeting", "nonce", "long", "type", "noise", "unknown", "short", "extra"];
const DESCRIPTORS = ["directory", "file", "device", "unix", "udp", "unconnected", "swapped"];
const CLAIMS = ["none", "three", "other-port", "elsewhere"];

test.each([...WORDS, ...DESCRIPTORS, ...CLAIMS, "leave", "errno"])(
  "an agent that cheats when it is asked to listen (%s) harms only its own forward",
  async (mode) => {
    await using agent = await hostileAgent(mode);
    const opened = bench.client.open({ id: mode, source: agent, remote: good.at(9) });
    await expect(opened).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    expect(await stateOf(mode)).toBeUndefined();
    await expectUnharmed();
  },
);

test.each([...WORDS, ...DESCRIPTORS, ...CLAIMS])(
  "an agent that cheats when it is asked to connect (%s) closes only what leads to it",
  async (mode) => {
    await using agent = await hostileAgent(mode);
    const remote = { ...agent, port: 4242 };
    const { port } = await bench.client.open({ id: mode, source: host(0), remote });
    expect(await received(port)).toBe("");
    expect(await stateOf(mode)).toMatchObject({ state: "waiting", lastErrno: MISBEHAVED });
    await expectUnharmed();
    await bench.client.close(mode);
  },
);

test("a space that makes the shared socket block is found out, and holds up nobody for long", async () => {
  await using agent = await hostileAgent("blocking");
  const { port } = await bench.client.open({ id: "blocking", source: agent, remote: good.at(9) });
  await until("it is found out", async () => {
    const forward = await stateOf("blocking");
    if (forward?.state === "waiting") return forward.lastErrno === MISBEHAVED;
    const sockets = await Promise.allSettled(Array.from({ length: 20 }, () => dial(port)));
    for (const result of sockets) if (result.status === "fulfilled") result.value.destroy();
    return false;
  });
  await expectUnharmed();
  await bench.client.close("blocking");
});

test("a symbolic link in the place of an agent's socket is not followed", async () => {
  const link = join(bench.directory, "link.sock");
  await symlink(good.at(0).socket, link);
  const source = { ...good.at(0), socket: link };
  const opened = bench.client.open({ id: "link", source, remote: good.at(9) });
  await expect(opened).rejects.toMatchObject({ code: "DRIVER_FAILED" });
});

test("garbage on the control socket is refused or dropped, and nothing else happens", async () => {
  const path = join(bench.directory, "relay.sock");
  const bytes = [
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.alloc(4),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    encodeRequest(99, 1, Buffer.alloc(0)),
    encodeRequest(Command.list, 1, Buffer.from("more")),
    ...[Command.open, Command.close, Command.closeSpace].flatMap((command) =>
      [0, 1, 2, 3, 40, 200].map((length) => encodeRequest(command, 1, Buffer.alloc(length, 1))),
    ),
  ];
  for (const piece of bytes) {
    const socket = connect(path);
    await once(socket, "connect");
    socket.end(piece);
    const answer = await ending(socket);
    expect([0, 13]).toContain(answer.bytes.length);
  }
  await expectUnharmed();
});

test("more control connections than there may be keep nobody out for good", async () => {
  const path = join(bench.directory, "relay.sock");
  const sockets = Array.from({ length: 600 }, () => connect(path).on("error", () => undefined));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const opened = bench.client.open({ id: "late", source: host(0), remote: good.at(9) });
  for (const socket of sockets) socket.destroy();
  expect((await opened).port).toBeGreaterThan(0);
  await bench.client.close("late");
  await expectUnharmed();
});

test("a relay refuses a directory that others can write to, and a client what is no socket", async () => {
  const open = join(bench.directory, "open");
  await mkdir(open);
  await chmod(open, 0o777);
  const client = new RelayClient({ controlSocket: join(open, "relay.sock"), binary: RELAY });
  const request = { id: "x", source: host(0), remote: good.at(9) };
  await expect(client.open(request)).rejects.toMatchObject({ code: "DRIVER_FAILED" });
  await writeFile(join(open, "relay.sock"), "");
  await expect(client.list()).rejects.toMatchObject({ code: "DRIVER_FAILED" });
});

test("a relay whose socket was removed ends, and gives its ports back", async () => {
  await using other = await TestBench.make();
  const { port } = await other.client.open({ id: "x", source: host(0), remote: good.at(9) });
  await rm(join(other.directory, "relay.sock"));
  await until("the port is free", async () => {
    return (await Promise.allSettled([dial(port)]))[0].status === "rejected";
  });
});
