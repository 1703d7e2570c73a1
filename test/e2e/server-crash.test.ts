/** What is left when a server is killed at the worst moment, and what its clients learn of it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openRemote } from "../../runtime/bindings/remote/remote.js";
import type { Client } from "../../runtime/contract/contract.js";
import { isErrorCode, SpacesError } from "../../runtime/contract/errors.js";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";
import { ServedProcess } from "../support/server-process.js";

const docker = await dockerAvailability();
const bubblewrap = await bubblewrapAvailability();
const AT_ONCE = 50;
const SETTLED = ["stopped", "running", "error"];

describe.each([
  { driver: "docker", available: docker.usable },
  { driver: "bubblewrap", available: bubblewrap.usable },
  { driver: "virtual", available: true },
])("a server killed with SIGKILL on $driver", ({ driver, available }) => {
  describe.skipIf(!available)("and started again", () => {
    let dataDir: string;
    let server: ServedProcess;
    let token: string | undefined;
    let remote: Binding;

    const serve = async (port?: number): Promise<void> => {
      const image = driver === "docker" ? { SPACES_DEFAULT_IMAGE: await ensureTestImage() } : {};
      server = await ServedProcess.start({ dataDir, driver, port, env: image });
    };

    beforeEach(async () => {
      dataDir = await mkdtemp(join(tmpdir(), "spaces-crash-"));
      await serve();
      token = server.adminToken;
      remote = await openRemote({ url: server.url, token });
    });
    afterEach(async () => {
      for (const { id } of (await remote.client.spaces.list({ limit: 1000 })).items) {
        await remote.client.spaces.delete({ space: id, force: true });
      }
      await remote[Symbol.asyncDispose]();
      await server.end("SIGTERM");
      await rm(dataDir, { recursive: true, force: true });
    });

    it("leaves no space between states and no process of one, and tells its clients", async () => {
      const { client } = remote;
      const half = AT_ONCE / 2;
      const running = Array.from({ length: driver === "docker" ? 3 : 5 }, (_, n) => `running-${n}`);
      const starting = Array.from({ length: half }, (_, n) => `starting-${n}`);
      for (const name of [...running, ...starting]) await client.spaces.create({ name });
      await Promise.all(running.map((space) => client.spaces.start({ space })));
      // The runs outlive any start; the starts are at every stage when the server is killed.
      const calls = [
        ...Array.from({ length: half }, (_, n) =>
          client.processes.run({ space: running[n % running.length] ?? "", command: "sleep 30" }),
        ),
        ...starting.map((space) => client.spaces.start({ space })),
      ];
      const ended = Promise.allSettled(calls);
      await expect
        .poll(async () => (await client.spaces.list({ status: "starting" })).items.length)
        .toBeGreaterThan(0);
      await server.end("SIGKILL");
      await serve(server.port);

      for (const outcome of await ended) {
        // Starts are idempotent: the client has asked the new server again.
        if (outcome.status === "fulfilled") continue;
        expect(SpacesError.isInstance(outcome.reason)).toBe(true);
        expect(isErrorCode(outcome.reason.code)).toBe(true);
        expect(outcome.reason.code).not.toBe("INTERNAL");
      }
      const states = async () =>
        (await client.spaces.list({ limit: 1000 })).items.map((space) => space.status);
      await expect
        .poll(states)
        .toEqual(Array(running.length + half).fill(expect.toBeOneOf(SETTLED)));
      // What the killed server was waiting for is not under way for anybody.
      for (const space of running) {
        expect(await client.spaces.get({ space })).toMatchObject({
          status: "running",
          activity: "idle",
        });
        const result = await client.processes.run({ space, command: "echo alive" });
        expect(result.stdout).toBe("alive\n");
      }
      expect(await containersOf(driver, client)).toEqual(await spaceIds(client));
      for (const space of starting) {
        expect((await client.spaces.start({ space })).status).toBe("running");
      }
    });

    it.runIf(driver !== "virtual")("goes on with a stream where it was", async () => {
      const { client } = remote;
      await client.spaces.create({ name: "s" });
      await client.spaces.start({ space: "s" });
      const { id } = await client.processes.start({
        space: "s",
        command: "for i in $(seq 1 300); do echo line $i; sleep 0.01; done",
      });
      let text = "";
      let killed = false;
      for await (const event of await client.processes.follow({ space: "s", process: id })) {
        if (event.type === "stdout") text += Buffer.from(event.data, "base64");
        if (!killed && text.includes("line 50\n")) {
          killed = true;
          await server.end("SIGKILL");
          await serve(server.port);
        }
      }
      expect(text.split("\n").slice(0, -1)).toEqual(
        Array.from({ length: 300 }, (_, index) => `line ${index + 1}`),
      );
    });
  });
});

async function spaceIds(client: Client): Promise<string[]> {
  return (await client.spaces.list({ limit: 1000 })).items.map(({ id }) => id).sort();
}

/** The spaces of which the engine of Docker has a container; elsewhere there is nothing to orphan. */
async function containersOf(driver: string, client: Client): Promise<(string | undefined)[]> {
  if (driver !== "docker") return spaceIds(client);
  const { installation } = await client.system.info();
  const label = [`spaces.installation=${installation}`];
  const containers = await new Docker().listContainers({ all: true, filters: { label } });
  return containers.map(({ Labels }) => Labels["spaces.space"]).sort();
}
