/** Why Docker cannot be used, told for each way in which that happens. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDockerDriver } from "./docker-driver.js";

describe("probing Docker", () => {
  const former = process.env.DOCKER_HOST;
  let directory: string;
  let socket: string;
  const servers: Server[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "spaces-probe-test-"));
    socket = join(directory, "docker.sock");
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    if (former === undefined) delete process.env.DOCKER_HOST;
    else process.env.DOCKER_HOST = former;
    await rm(directory, { recursive: true, force: true });
  });

  const probe = (host: string) => {
    process.env.DOCKER_HOST = host;
    return createDockerDriver({ installationId: "probe", dataDir: directory }).probe();
  };
  const listen = async (server: Server) => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  };
  /** A daemon that answers every request in the same way, but for its version. */
  const daemon = (version: object, status = 500, message = "") =>
    listen(
      createHttpServer((request, response) => {
        const asked = request.url === "/version";
        response.writeHead(asked ? 200 : status, { Connection: "close" });
        response.end(JSON.stringify(asked ? version : { message }));
      }),
    );
  const current = { Version: "27.0.1", ApiVersion: "1.46", Os: "linux" };

  it("finds no socket", async () => {
    expect(await probe(`unix://${socket}`)).toEqual({
      usable: false,
      reason: expect.stringContaining(`no Docker socket at unix://${socket}`),
      remedy: expect.stringContaining("DOCKER_HOST"),
    });
  });

  it("finds nobody listening", async () => {
    expect(await probe("tcp://127.0.0.1:1")).toMatchObject({
      usable: false,
      reason: expect.stringContaining("No Docker daemon listens at tcp://127.0.0.1:1"),
    });
  });

  it.skipIf(process.getuid?.() === 0)("may not use the socket", async () => {
    await daemon(current);
    await chmod(socket, 0o000);
    expect(await probe(`unix://${socket}`)).toMatchObject({
      usable: false,
      remedy: expect.stringContaining("docker group"),
    });
  });

  it("does not wait for a daemon that does not answer", async () => {
    await listen(createServer(() => undefined));
    expect(await probe(`unix://${socket}`)).toMatchObject({
      usable: false,
      reason: expect.stringContaining("did not answer"),
    });
  });

  it("finds a daemon that is too old", async () => {
    await daemon({ ...current, Version: "1.9.1", ApiVersion: "1.9" });
    expect(await probe(`unix://${socket}`)).toMatchObject({
      usable: false,
      reason: expect.stringContaining("speaks API 1.9;"),
    });
  });

  it("finds a daemon of Windows containers", async () => {
    await daemon({ ...current, Os: "windows" });
    expect(await probe(`unix://${socket}`)).toMatchObject({
      usable: false,
      remedy: expect.stringContaining("Linux containers"),
    });
  });

  it("finds a daemon that does not see this machine's files", async () => {
    await daemon(
      current,
      400,
      'invalid mount config for type "bind": bind source path does not exist: /x',
    );
    expect(await probe(`unix://${socket}`)).toMatchObject({
      usable: false,
      reason: expect.stringContaining("does not see this machine's files"),
    });
  });

  it("uses a daemon that sees them", async () => {
    await daemon(current, 404, "No such image: x");
    expect(await probe(`unix://${socket}`)).toEqual({ usable: true, version: "27.0.1" });
  });

  it.each(["not a url at all", "tcp://", "ssh://nobody@127.0.0.1:1"])(
    "never throws, not even with DOCKER_HOST=%s",
    async (host) => {
      expect(await probe(host)).toMatchObject({ usable: false, reason: expect.any(String) });
    },
  );

  it("takes what is no daemon's answer for unusable", async () => {
    await listen(createServer((client) => client.end("SSH-2.0-hello\r\n")));
    expect(await probe(`unix://${socket}`)).toMatchObject({ usable: false });
  });
});
