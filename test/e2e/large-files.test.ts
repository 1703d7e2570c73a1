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

  it("goes up to a server and comes down again while the server grows by less than 32 MiB", async () => {
    let bytes = 0;
    const growth = await growthOf(server.pid, async () => {
      let left = BYTES;
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
      await binding.client.files.upload({ params: { space }, query: { path: "large" }, body });
      const download = await binding.client.files.download({ space, path: "large" });
      for await (const piece of download.body as AsyncIterable<Uint8Array>) bytes += piece.length;
    });
    expect(bytes).toBe(BYTES);
    expect(growth).toBeLessThan(MOST_GROWTH);
  }, 120_000);
});
