/**
 * Garbage in both directions: the agent must survive any bytes and serve the next host; the host must
 * end a session with a guest that misbehaves, without hanging or growing.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { encodeHello, FrameParser, FrameWriter } from "./frames.js";
import type { GuestAgentProcess } from "./guest-process.js";
import { GuestSession } from "./guest-session.js";
import { Answer, LIMITS, Request } from "./protocol.js";
import { encodeSpawn } from "./spawn-request.js";
import { AGENT, ENV, run, TestAgent, until } from "./test-agent.js";

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const runs = Number(process.env.FUZZ_RUNS ?? 150);

/** An agent that stops at the first bad memory access, or the usual one where gcc is missing. */
async function checkedAgent(directory: string): Promise<string> {
  const sources = fileURLToPath(new URL("./agent/", import.meta.url));
  const files = (await readdir(sources)).filter((name) => name.endsWith(".c"));
  const program = join(directory, "agent-checked");
  const flags = "-std=c11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined";
  try {
    execFileSync("gcc", [...flags.split(" "), "-o", program, ...files], {
      cwd: sources,
      stdio: "ignore",
    });
    return program;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return AGENT;
    throw error;
  }
}

const id = fc.constantFrom(...[1, 2, 3].map((byte) => Buffer.alloc(16, byte)));
const u32 = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 0xffff_ffff }));

/** Frames that are nearly right: those get furthest. */
const plausible = fc
  .tuple(
    fc.constantFrom(
      ...Object.values(Request).filter((type) => type !== Request.shutdown),
      0x17,
      0x18,
    ),
    fc.boolean(),
    u32,
    id,
    fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constant(0)), { maxLength: 60 }),
  )
  .map(([type, withRequest, request, process, rest]) => {
    const frame = new FrameWriter(type);
    if (withRequest) frame.u32(request);
    if (type < 0x10) frame.bytes(process);
    return frame.bytes(Buffer.from(rest)).finish();
  });

const started = fc
  .tuple(id, fc.constantFrom("cat", "yes", "true", "no-such"), fc.boolean(), fc.boolean())
  .map(([process, program, detached, terminal]) => {
    const spawn = { argv: [program] as const, env: ENV, workdir: "/", stdin: "pipe" as const };
    return encodeSpawn(process.toString("hex"), {
      ...spawn,
      detached,
      ...(terminal ? { terminal: { columns: 80, rows: 24 } } : {}),
    }).finish();
  });

const garbage = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

describe("the agent", () => {
  let agent: TestAgent;
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "guest-fuzz-"));
    agent = await TestAgent.serve(await checkedAgent(directory), {
      // What is still there when it ends is no leak.
      ASAN_OPTIONS: "detect_leaks=0",
    });
  });

  afterAll(async () => {
    await agent[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** Sends the bytes, reads whatever comes, and goes away. */
  async function throwAt(pieces: readonly Buffer[], known: boolean): Promise<void> {
    const socket = await agent.socket();
    socket.on("error", () => undefined).resume();
    if (known) socket.write(encodeHello(agent.token, randomBytes(16)));
    for (const piece of pieces) socket.write(piece);
    await new Promise<void>((resolve) => {
      socket.write(Buffer.alloc(0), () => resolve());
      socket.once("close", () => resolve());
    });
    socket.destroy();
    expect(agent.running, `seed ${seed}`).toBe(true);
  }

  it("survives strangers", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(garbage, { maxLength: 5 }), (pieces) => throwAt(pieces, false)),
      { seed, numRuns: runs },
    );
  });

  it("survives hosts that speak nonsense, and serves the next one", async () => {
    const frames = fc.array(
      fc.oneof({ weight: 6, arbitrary: plausible }, { weight: 3, arbitrary: started }, garbage),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(frames, (pieces) => throwAt(pieces, true)),
      { seed, numRuns: runs },
    );
    const session = await agent.session();
    expect(await run(session, "echo still here")).toMatchObject({ stdout: "still here\n" });
    for (const left of await session.list()) {
      await session.kill(left.id);
      await session.release(left.id);
    }
    await session.close();
  });

  it("closes on frames that are too long, unknown or malformed, and says why", async () => {
    const cases: [Buffer, string][] = [
      [Buffer.from([0xff, 0xff, 0xff, 0xff, 1]), "frame too long"],
      [new FrameWriter(0x77).finish(), "unknown frame type"],
      [new FrameWriter(Request.kill).u8(1).finish(), "malformed frame"],
    ];
    for (const [bytes, reason] of cases) {
      const socket = await agent.socket();
      const got: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => got.push(chunk));
      socket.write(Buffer.concat([encodeHello(agent.token, randomBytes(16)), bytes]));
      await once(socket, "close");
      expect(Buffer.concat(got).toString("latin1")).toContain(reason);
    }
  });

  it("drops who says nothing", { timeout: 20_000 }, async () => {
    const socket = await agent.socket();
    socket.resume();
    await once(socket, "close");
  });

  it("lets the host in while strangers hold every place", async () => {
    const strangers = await Promise.all(Array.from({ length: 200 }, () => agent.socket()));
    for (const stranger of strangers) stranger.on("error", () => undefined);
    const session = await agent.session();
    await session.ping();
    await session.close();
    for (const stranger of strangers) stranger.destroy();
  });

  it("does not grow when a host asks without reading", async () => {
    const socket = await agent.socket();
    socket.on("error", () => undefined).pause();
    socket.write(encodeHello(agent.token, randomBytes(16)));
    const list = new FrameWriter(Request.list).u32(1).finish();
    const many = Buffer.concat(Array.from({ length: 10_000 }, () => list));
    const before = agent.memory();
    for (let index = 0; index < 50; index += 1) socket.write(many);
    const session = await agent.session();
    await session.ping();
    expect(agent.memory() - before).toBeLessThan(4 * 1024);
    await session.close();
    socket.destroy();
  });
});

/** A stream on whose other side the test plays the guest. */
class FakeGuest {
  readonly stream: Duplex;
  readonly sent: Buffer[] = [];

  constructor() {
    this.stream = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, callback) => {
        this.sent.push(chunk);
        callback();
      },
    });
  }

  say(bytes: Buffer): void {
    if (!this.stream.destroyed) this.stream.push(bytes);
  }

  /** A session whose handshake this guest has answered. */
  async open(): Promise<GuestSession> {
    const opening = GuestSession.open(this.stream, { token: Buffer.alloc(32) });
    await until("HELLO", () => this.sent.length > 0);
    const nonce = this.sent[0]?.subarray(48, 64) ?? Buffer.alloc(0);
    const tail = Buffer.alloc(16);
    tail.writeUInt16LE(1);
    this.say(Buffer.concat([Buffer.from("\x9dSPACES-GUEST-A\n", "latin1"), nonce, tail]));
    return opening;
  }

  /** A session with one process that has started. */
  async started(): Promise<{ session: GuestSession; process: GuestAgentProcess; id: Buffer }> {
    const session = await this.open();
    const starting = session.spawn({ argv: ["x"], env: {}, workdir: "/", stdin: "pipe" });
    await until("SPAWN", () => this.sent.length > 1);
    this.say(new FrameWriter(Answer.spawned).u32(1).u32(42).finish());
    const process = await starting;
    return { session, process, id: Buffer.from(process.id, "hex") };
  }
}

describe("the host", () => {
  it("ends a session with a typed error on any garbage, and every call with it", async () => {
    const answers = fc
      .tuple(fc.constantFrom(...Object.values(Answer)), u32, fc.uint8Array({ maxLength: 60 }))
      .map(([type, number, rest]) =>
        new FrameWriter(type).u32(number).bytes(Buffer.from(rest)).finish(),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(answers, garbage), { maxLength: 10 }), async (pieces) => {
        const guest = new FakeGuest();
        const session = await guest.open();
        const outcome = (call: Promise<unknown>) =>
          call.then(
            () => undefined,
            (error: unknown) => error,
          );
        const calls = [
          outcome(session.spawn({ argv: ["x"], env: {}, workdir: "/" }).then((p) => p.exit)),
          outcome(session.list()),
          outcome(session.connect(80)),
          outcome(session.listen(81, () => undefined)),
          outcome(session.kill("00".repeat(16))),
        ];
        for (const piece of pieces) guest.say(piece);
        guest.stream.push(null);
        for (const error of await Promise.all(calls)) {
          if (error !== undefined) expect(SpacesError.isInstance(error)).toBe(true);
        }
        await session.closed;
        expect(session.open).toBe(false);
      }),
      { seed, numRuns: runs },
    );
  });

  const output = (id: Buffer, offset: number, bytes: Buffer, stream = 0) =>
    new FrameWriter(Answer.output).bytes(id).u8(stream).u64(offset).bytes(bytes).finish();
  const exit = (id: Buffer, kind: number, value: number) =>
    new FrameWriter(Answer.exit).bytes(id).u8(kind).u32(value).finish();
  const window = Buffer.alloc(64 * 1024);

  const misdeeds: [string, (id: Buffer) => Buffer[]][] = [
    [
      "output that was not granted",
      (id) => [0, 1, 2, 3, 4].map((n) => output(id, n * 65_536, window)),
    ],
    ["output at another offset", (id) => [output(id, 5, Buffer.from("x"))]],
    ["empty output", (id) => [output(id, 0, Buffer.alloc(0))]],
    ["output on a third stream", (id) => [output(id, 0, Buffer.from("x"), 2)]],
    ["output of an unknown process", () => [output(Buffer.alloc(16, 9), 0, Buffer.from("x"))]],
    ["two exits", (id) => [exit(id, 1, 0), exit(id, 1, 0)]],
    ["an exit code that cannot be", (id) => [exit(id, 1, 256)]],
    ["an exit of an unknown kind", (id) => [exit(id, 9, 0)]],
    ["GONE before the exit", (id) => [new FrameWriter(Answer.gone).bytes(id).finish()]],
    ["credit for nothing", (id) => [new FrameWriter(Answer.stdinCredit).bytes(id).u32(1).finish()]],
    ["an answer to no question", () => [new FrameWriter(Answer.ok).u32(77).finish()]],
    [
      "a connection on no listener",
      () => [new FrameWriter(Answer.accepted).u32(9).u32(0x8000_0000).finish()],
    ],
    ["data on no connection", () => [new FrameWriter(Answer.data).u32(5).bytes(window).finish()]],
    ["an unknown frame", () => [new FrameWriter(0xf0).finish()]],
    ["a frame too long", () => [Buffer.from([0, 0, 0, 0x7f, Answer.output])]],
    [
      "its own protocol error",
      () => [new FrameWriter(Answer.protocolError).bytes(Buffer.from("no")).finish()],
    ],
  ];

  it.each(misdeeds)("ends the session on %s", async (_name, frames) => {
    const guest = new FakeGuest();
    const { session, process, id } = await guest.started();
    const listing = session.list();
    for (const frame of frames(id)) guest.say(frame);
    await expect(listing).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    await process.exit.catch((error: unknown) =>
      expect(error).toMatchObject({ code: "DRIVER_FAILED" }),
    );
    await session.closed;
    expect(guest.stream.destroyed).toBe(true);
  });

  it("ends a list that does not end", async () => {
    const guest = new FakeGuest();
    const session = await guest.open();
    const listing = session.list();
    const entry = new FrameWriter(Answer.process).u32(1).bytes(Buffer.alloc(72)).finish();
    const many = Buffer.concat(Array.from({ length: LIMITS.listedProcesses + 1 }, () => entry));
    guest.say(many);
    await expect(listing).rejects.toMatchObject({ code: "DRIVER_FAILED" });
  });

  it("gives up on an agent that does not answer", async () => {
    const silent = new FakeGuest();
    await expect(
      GuestSession.open(silent.stream, { token: Buffer.alloc(32), timeoutMs: 20 }),
    ).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    const session = await new FakeGuest().open();
    await expect(session.ping({ timeoutMs: 20 })).rejects.toThrow("did not answer");
    expect(session.open).toBe(false);
  });

  it("takes frames apart in whatever pieces they come", () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 });
    fc.assert(
      fc.property(
        payloads,
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (all, cuts) => {
          const got: Buffer[] = [];
          const parser = new FrameParser((type, payload) => {
            expect(type).toBe(7);
            got.push(Buffer.from(payload));
          });
          let rest = Buffer.concat(
            all.map((bytes) => new FrameWriter(7).bytes(Buffer.from(bytes)).finish()),
          );
          for (let turn = 0; rest.length > 0; turn += 1) {
            const cut = cuts[turn % cuts.length] ?? 1;
            parser.push(rest.subarray(0, cut));
            rest = rest.subarray(cut);
          }
          expect(got).toEqual(all.map((bytes) => Buffer.from(bytes)));
        },
      ),
      { seed },
    );
  });
});
