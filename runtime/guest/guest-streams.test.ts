/** Bytes through the real agent: large output and input, slow readers, terminals, connections. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeHello } from "./frames.js";
import { GuestSession } from "./guest-session.js";
import { encodeSpawn } from "./spawn-request.js";
import { ENV, processesWith, run, sh, TestAgent, text, until } from "./test-agent.js";

let agent: TestAgent;
let session: GuestSession;

beforeAll(async () => {
  agent = await TestAgent.serve();
  session = await agent.session();
});

afterAll(async () => {
  await session.close();
  await agent[Symbol.asyncDispose]();
});

const MIB = 1024 * 1024;

describe("output", () => {
  it("delivers 100 MB whole, with the agent's memory bounded", async () => {
    const process = await sh(session, "head -c 100000000 /dev/zero; exit 4");
    let bytes = 0;
    let most = 0;
    for await (const chunk of process.stdout) {
      bytes += chunk.length;
      most = Math.max(most, agent.memory());
    }
    expect(bytes).toBe(100_000_000);
    expect(await process.exit).toEqual({ exitCode: 4 });
    expect(most).toBeLessThan(8 * 1024);
  });

  it("holds a process back while its reader is slow, and loses nothing", async () => {
    const process = await sh(session, "seq 1 1000000; echo done >&2");
    await until("the buffers are full", () => process.stdout.readableLength >= 256 * 1024);
    // The process cannot have ended: most of its output has no place to be.
    expect((await session.list())[0]).toMatchObject({ id: process.id, state: "running" });
    const lines = (await text(process.stdout)).split("\n");
    expect(lines).toHaveLength(1_000_001);
    expect(lines[999_999]).toBe("1000000");
    expect(await text(process.stderr)).toBe("done\n");
  });

  it("goes on when the reader goes away", async () => {
    const process = await sh(session, "head -c 3000000 /dev/zero; exit 6");
    process.stdout.destroy();
    expect(await process.exit).toEqual({ exitCode: 6 });
  });

  it("never blocks a detached process that nobody reads, and says which bytes were lost", async () => {
    const first = await agent.session();
    const { id } = await sh(first, "sleep 0.05; seq 1 200000", { detached: true });
    await first.close();
    await until("it has ended", async () => (await session.list())[0]?.state === "exited");
    const process = await session.attach(id);
    const kept = await text(process.stdout);
    const whole = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(kept.length).toBe(256 * 1024);
    expect(process.lost.stdout).toBe(whole.length - kept.length);
    expect(whole.endsWith(kept)).toBe(true);
    await session.release(id);
  });

  it("ends with the process, though a background child holds the pipes", async () => {
    const process = await sh(session, "echo before; sleep 60 & exit 0");
    expect(await process.exit).toEqual({ exitCode: 0 });
    expect(await text(process.stdout)).toBe("before\n");
    await process.kill();
  });
});

describe("standard input", () => {
  it("echoes 5 MB", async () => {
    const process = await session.spawn({ argv: ["cat"], env: ENV, workdir: "/", stdin: "pipe" });
    const sent = randomBytes(5 * MIB);
    process.stdin.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdout) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    expect(await process.exit).toEqual({ exitCode: 0 });
  });

  it("is at its end at once when there is none", async () => {
    expect((await run(session, "cat; echo end")).stdout).toBe("end\n");
  });

  it("takes input that nobody reads any more without an error", async () => {
    const process = await sh(session, "exec <&-; sleep 0.1; exit 8", { stdin: "pipe" });
    process.stdin.end(randomBytes(MIB));
    await once(process.stdin, "finish");
    expect(await process.exit).toEqual({ exitCode: 8 });
  });
});

describe("terminals", () => {
  it("has a size that can change, a foreground group and Ctrl-C", async () => {
    const process = await sh(
      session,
      "stty size; cat; stty size; sleep 61243; echo status $?; exit 3",
      {
        terminal: { columns: 100, rows: 30 },
      },
    );
    let seen = "";
    process.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await until("the first size", () => seen.includes("30 100"));
    await process.resize(120, 40);
    process.stdin.write("typed\n");
    await until("the echo and the copy", () => seen.split("typed").length === 3);
    process.stdin.write("\x04");
    await until("the second size", () => seen.includes("40 120"));
    // A shell between two commands would take Ctrl-C for the one that has just ended.
    await until("it sleeps", () => processesWith("sleep\x0061243").length === 1);
    process.stdin.write("\x03");
    expect(await process.exit).toEqual({ exitCode: 130, signal: "SIGINT" });
  });

  it("delivers all output before the end, and the exit code", async () => {
    const process = await sh(session, "tty >&2; seq 1 20000; exit 5", {
      terminal: { columns: 80, rows: 24 },
    });
    const lines = (await text(process.stdout)).split("\r\n");
    expect(lines[0]).toMatch(/^\/dev\/pts\/\d+$/);
    expect(lines.slice(1)).toEqual([...Array.from({ length: 20_000 }, (_, i) => `${i + 1}`), ""]);
    expect(await process.exit).toEqual({ exitCode: 5 });
    await expect(process.resize(0, 5)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("tells a program the end of its input", async () => {
    const process = await sh(session, "cat; echo over", { terminal: { columns: 80, rows: 24 } });
    process.stdin.end("x\n");
    expect(await text(process.stdout)).toBe("x\r\nx\r\nover\r\n");
  });

  it("refuses to resize what has none", async () => {
    const process = await sh(session, "sleep 60");
    await expect(process.resize(80, 24)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await process.kill();
  });
});

/** A TCP server on this machine's loopback, which is the agent's too in these tests. */
async function serve(onConnection: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, [Symbol.asyncDispose]: async () => void server.close() };
}

describe("connections into the space", () => {
  it("carries bytes both ways and closes each half by itself", async () => {
    await using server = await serve((socket) => {
      let got = "";
      socket.on("data", (chunk: Buffer) => {
        got += chunk.toString();
      });
      socket.on("end", () => socket.end(`${got} heard`));
    });
    const channel = await session.connect(server.port);
    channel.end("hello");
    expect(await text(channel)).toBe("hello heard");
  });

  it("carries 20 MB with both ends slow in turn", async () => {
    await using server = await serve((socket) => socket.pipe(socket));
    const channel = await session.connect(server.port);
    const sent = randomBytes(20 * MIB);
    channel.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of channel) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });

  it("carries a thousand connections at once", async () => {
    await using server = await serve((socket) => socket.pipe(socket));
    const answers = await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const channel = await session.connect(server.port);
        channel.end(`number ${index}`);
        return text(channel);
      }),
    );
    expect(answers[999]).toBe("number 999");
    expect(new Set(answers).size).toBe(1000);
  });

  it("says that nothing listens, and refuses bad ports", async () => {
    const closed = await serve(() => undefined);
    await closed[Symbol.asyncDispose]();
    await expect(session.connect(closed.port)).rejects.toMatchObject({
      code: "DRIVER_FAILED",
      details: { errno: "ECONNREFUSED" },
    });
    for (const port of [-1, 0, 65_536, 1.5, Number.NaN]) {
      await expect(session.connect(port)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    }
  });

  it("passes a reset on", async () => {
    await using server = await serve((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    const channel = await session.connect(server.port);
    channel.write("x");
    await expect(text(channel)).rejects.toMatchObject({ code: "ECONNRESET" });
  });
});

describe("ports of the space", () => {
  const dial = async (port: number, host: string) => {
    const socket = connectTcp({ port, host, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };

  it("listens on both loopback addresses until it is closed", async () => {
    const listener = await session.listen(0, (connection) => connection.pipe(connection));
    for (const host of ["127.0.0.1", ...(listener.ipv6 ? ["::1"] : [])]) {
      const socket = await dial(listener.port, host);
      socket.end("echo");
      expect(await text(socket)).toBe("echo");
    }
    const { port } = listener;
    await expect(session.listen(port, () => undefined)).rejects.toMatchObject({
      code: "PORT_IN_USE",
    });
    await listener.close();
    await until("it is closed", async () =>
      dial(port, "127.0.0.1").then(
        (socket) => {
          socket.destroy();
          return false;
        },
        () => true,
      ),
    );
  });

  it("resets the other side when this one is destroyed", async () => {
    const taken: Duplex[] = [];
    await using listener = await session.listen(0, (connection) => taken.push(connection));
    const socket = await dial(listener.port, "127.0.0.1");
    await until("it is taken", () => taken.length === 1);
    taken[0]?.destroy();
    await expect(once(socket, "data")).rejects.toMatchObject({ code: "ECONNRESET" });
  });
});

describe("descriptors", () => {
  const RECEIVER = `
import array, os, socket, struct, sys
path, token, port = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.sendall(b"\\x9cSPACES-GUEST-H\\n" + token + b"n" * 16 + struct.pack("<HH", 1, 0))
assert len(s.recv(48, socket.MSG_WAITALL)) == 48
def frame(kind, payload):
    s.sendall(struct.pack("<IB", len(payload), kind) + payload)
def received():
    data, fds, flags, _ = socket.recv_fds(s, 5 + 7, 4)
    length, kind, request, count, port = struct.unpack("<IBIBH", data)
    assert kind == 0x98 and count == len(fds), (kind, count, fds)
    return [socket.socket(fileno=fd) for fd in fds], port
# A ping before, so that the descriptors must come with the right frame.
frame(1, b"1234")
frame(0x17, struct.pack("<IH", 7, 0))
assert s.recv(9, socket.MSG_WAITALL)[4] == 0x81
listeners, listening = received()
frame(0x18, struct.pack("<IH", 8, listening))
(dialled,), _ = received()
accepted, _ = listeners[0].accept()
dialled.sendall(b"through")
print(accepted.recv(7).decode(), len(listeners))
frame(0x18, struct.pack("<IH", 9, port))
refused = s.recv(13, socket.MSG_WAITALL)
print(refused[4], struct.unpack("<II", refused[5:]))
`;

  it("are handed out: a listening and a connected socket", async () => {
    const closed = await serve(() => undefined);
    await closed[Symbol.asyncDispose]();
    const receiver = spawn("python3", [
      "-c",
      RECEIVER,
      agent.socketPath,
      agent.token.toString("hex"),
      String(closed.port),
    ]);
    const [stdout, stderr] = await Promise.all([text(receiver.stdout), text(receiver.stderr)]);
    expect(stderr).toBe("");
    // 0x8c is ERROR; 111 is ECONNREFUSED.
    expect(stdout).toMatch(/^through [12]\n140 \(9, 111\)\n$/);
  });
});

describe("over standard input and output", () => {
  it("does the same", async () => {
    await using own = await TestAgent.stdio();
    const stream = own.pipes();
    const first = await GuestSession.open(stream, { token: own.token });
    expect(await run(first, "echo over pipes; exit 2")).toMatchObject({
      stdout: "over pipes\n",
      exitCode: 2,
    });
    await first.close();
    await until("it ends with its pipes", () => !own.running);
  });

  it("finds a new host in the middle of the last one's frame", async () => {
    await using own = await TestAgent.stdio();
    const { stdin, stdout } = own.child;
    if (stdin === null || stdout === null) throw new Error("no pipes");
    // Two hosts one after the other, over pipes that stay open between, as Docker's attach has it.
    const { PassThrough, Duplex: Pair } = await import("node:stream");
    const host = () => {
      const input = new PassThrough();
      const output = new PassThrough();
      const onData = (chunk: Buffer) => void input.write(chunk);
      stdout.on("data", onData);
      output.on("data", (chunk: Buffer) => stdin.write(chunk));
      input.on("close", () => stdout.off("data", onData));
      return Pair.from({ readable: input, writable: output });
    };
    const first = await GuestSession.open(host(), { token: own.token });
    const lives = await sh(first, "echo kept; sleep 60", { detached: true });
    await sh(first, "sleep 61242");
    await until("its output is there", () => lives.stdout.readableLength === 5);
    // Half a STDIN frame: 1000 bytes were announced, the host died after 30.
    stdin.write(Buffer.concat([Buffer.from([0xe8, 3, 0, 0, 6]), Buffer.alloc(30, 0x9c)]));
    const second = await GuestSession.open(host(), { token: own.token });
    await until("only the detached one lives", async () => {
      const list = await second.list();
      return list.length === 1 && list[0]?.id === lives.id;
    });
    const again = await second.attach(lives.id);
    expect(String((await once(again.stdout, "data"))[0])).toBe("kept\n");
    await again.kill();
    // One that leaves in order takes what is not detached with it.
    await sh(second, "sleep 61244");
    await until("it sleeps", () => processesWith("sleep\x0061244").length === 1);
    await second.close();
    await until("nothing is left", () => processesWith("sleep\x0061244").length === 0);
    expect(own.running).toBe(true);
  });

  it("takes a host for dead that is silent for longer than its lease", async () => {
    await using own = await TestAgent.stdio();
    const { stdin, stdout } = own.child;
    if (stdin === null || stdout === null) throw new Error("no pipes");
    stdout.resume();
    stdin.write(encodeHello(own.token, randomBytes(16), 1));
    const spawned = { argv: ["sleep", "61245"] as const, env: ENV, workdir: "/" };
    stdin.write(encodeSpawn("ab".repeat(16), spawned).finish());
    await until("it sleeps", () => processesWith("sleep\x0061245").length === 1);
    await until("it is killed", () => processesWith("sleep\x0061245").length === 0);
    expect(own.running).toBe(true);
  });

  it("keeps a host with a lease that has nothing to say", async () => {
    const leased = await GuestSession.open(await agent.socket(), {
      token: agent.token,
      leaseSeconds: 1,
    });
    const process = await sh(leased, "sleep 1.5; echo alive");
    expect(await text(process.stdout)).toBe("alive\n");
    await leased.close();
  });
});
