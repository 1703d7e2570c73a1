/** Files far larger than a server may take memory for, through `spaces serve` as a process of its own. */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openRemote } from "../../runtime/bindings/remote/remote.js";
import { ServedProcess } from "../support/server-process.js";

const BYTES = 1024 ** 3;
const SMALL_BYTES = 64 * 1024 ** 2;
const PIECE = new Uint8Array(1024 * 1024).fill(7);
const MOST_GROWTH = 32 * 1024 ** 2;
const SAMPLE_MS = 20;

/** Bytes of memory that a process occupies. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}

/** Bytes by which a process grew at most while something was done. */
async function growthOf(pid: number, work: () => Promise<void>): Promise<number> {
  const before = memoryOf(pid);
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, memoryOf(pid));
  }, SAMPLE_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, memoryOf(pid)) - before;
}

describe.skipIf(!existsSync("/proc/self/status"))("a file of a gigabyte", () => {
  let dataDir: string;
  let server: ServedProcess;
  let binding: Binding;
  let space: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "spaces-large-"));
    server = await ServedProcess.start({ dataDir, driver: "virtual" });
    binding = await openRemote({ url: server.url, token: server.adminToken });
    space = (await binding.client.spaces.create({ name: "large" })).id;
  });

  afterAll(async () => {
    await binding[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Sends a file up and reads it back. @returns the bytes that came */
  async function upAndDown(size: number): Promise<number> {
    let left = size;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (left === 0) return controller.close();
          left -= PIECE.length;
          controller.enqueue(PIECE);
        },
      },
      { highWaterMark: 0 },
    );
    const query = { path: "large", overwrite: true };
    await binding.client.files.upload({ params: { space }, query, body });
    const download = await binding.client.files.download({ space, path: "large" });
    let bytes = 0;
    for await (const piece of download.body as AsyncIterable<Uint8Array>) bytes += piece.length;
    return bytes;
  }

  it("goes up to a server and comes down again while the server grows by less than 32 MiB", async () => {
    // The engine of JavaScript doubles the room for new objects, to 16 MiB, at some point in the life
    // of every server: with a small file or with a large one.
    await upAndDown(SMALL_BYTES);
    let bytes = 0;
    const growth = await growthOf(server.pid, async () => {
      bytes = await upAndDown(BYTES);
    });
    expect(bytes).toBe(BYTES);
    expect(growth).toBeLessThan(MOST_GROWTH);
  }, 120_000);
});
