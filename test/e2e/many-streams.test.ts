/** Many followers at once, through a served engine: an agent holds few connections, callers want many. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openRemote } from "../../runtime/bindings/remote/remote.js";
import type { Client } from "../../runtime/contract/contract.js";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { ServedProcess } from "../support/server-process.js";

const FOLLOWERS = 1000;
/** More than an agent takes. */
const PROCESSES = 300;

const availability = await bubblewrapAvailability();

describe.skipIf(!availability.usable)("many streams of a served engine", () => {
  let dataDir: string;
  let server: ServedProcess;
  let binding: Binding;
  let client: Client;
  let space: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "spaces-streams-"));
    server = await ServedProcess.start({ dataDir, driver: "bubblewrap" });
    binding = await openRemote({ url: server.url, token: server.adminToken });
    client = binding.client;
    space = (await client.spaces.create({ name: "many" })).id;
    await client.spaces.start({ space });
  });

  afterAll(async () => {
    await client.spaces.delete({ space, force: true });
    await binding[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  const startCat = async (): Promise<string> =>
    (await client.processes.start({ space, command: "cat", args: [], input: true })).id;

  it("gives a thousand followers of two processes all that these print", async () => {
    const processes = [await startCat(), await startCat()] as const;
    const streams = await Promise.all(
      Array.from({ length: FOLLOWERS }, (_, index) =>
        client.processes.follow({ space, process: processes[index % 2 === 0 ? 0 : 1] }),
      ),
    );
    const read = Promise.all(
      streams.map(async (stream) => {
        let text = "";
        for await (const event of stream) {
          if (event.type === "stdout") text += Buffer.from(event.data, "base64").toString();
        }
        return text;
      }),
    );
    for (const [index, process] of processes.entries()) {
      for (const word of ["one ", "two "]) {
        await client.processes.write({ space, process, data: btoa(`${index} ${word}`) });
      }
      await client.processes.write({ space, process, close: true });
    }
    const texts = await read;
    expect(texts.filter((text) => text === "0 one 0 two ")).toHaveLength(FOLLOWERS / 2);
    expect(texts.filter((text) => text === "1 one 1 two ")).toHaveLength(FOLLOWERS / 2);
  }, 60_000);

  it("refuses followers beyond what the space's agent takes with LIMIT_EXCEEDED, and goes on", async () => {
    const processes = await Promise.all(Array.from({ length: PROCESSES }, startCat));
    const outcomes = processes.map(async (process) => {
      try {
        for await (const event of await client.processes.follow({ space, process })) {
          if (event.type === "stdout") return "read";
        }
        return "ended";
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
    const isSettled = new Set<number>();
    for (const [index, outcome] of outcomes.entries()) {
      void outcome.then(() => isSettled.add(index));
    }
    await expect.poll(() => isSettled.size, { timeout: 20_000 }).toBeGreaterThan(0);
    const refused = await Promise.all([...isSettled].map((index) => outcomes[index]));
    expect(new Set(refused)).toEqual(new Set(["LIMIT_EXCEEDED"]));
    // Calls need no connection of their own.
    const { exitCode } = await client.processes.run({ space, command: "true", args: [] });
    expect(exitCode).toBe(0);
    await Promise.all(processes.map((process) => client.processes.kill({ space, process })));
    const all = await Promise.all(outcomes);
    expect(new Set(all)).toEqual(new Set(["ended", "LIMIT_EXCEEDED"]));
  }, 60_000);
});
