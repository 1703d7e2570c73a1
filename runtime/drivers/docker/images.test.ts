/** Images that are not here: pulled from a small registry of the test's own, or honestly missing. */
import { createHash } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dockerAvailability } from "../../../test/support/docker.js";
import { TestInstallation } from "./test-space.js";

const docker = await dockerAvailability();

interface Blob {
  readonly digest: string;
  readonly body: Buffer;
}

function blob(body: Buffer): Blob {
  return { digest: `sha256:${createHash("sha256").update(body).digest("hex")}`, body };
}

/** Enough of the registry protocol for a pull of one image with one layer without files. */
class Registry {
  readonly #server: Server;
  readonly #held: ServerResponse[] = [];
  /** Whether the layer's second half is kept back. */
  holdLayer = false;
  /** Called when a layer is asked for. */
  onLayer: () => void = () => undefined;
  address = "";

  constructor() {
    const layer = Buffer.alloc(1024);
    const compressed = blob(gzipSync(layer, { level: 0 }));
    const config = blob(
      Buffer.from(
        JSON.stringify({
          architecture: process.arch === "arm64" ? "arm64" : "amd64",
          os: "linux",
          config: {},
          rootfs: { type: "layers", diff_ids: [blob(layer).digest] },
        }),
      ),
    );
    const type = "application/vnd.docker.distribution.manifest.v2+json";
    const manifest = blob(
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: type,
          config: {
            mediaType: "application/vnd.docker.container.image.v1+json",
            size: config.body.length,
            digest: config.digest,
          },
          layers: [
            {
              mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
              size: compressed.body.length,
              digest: compressed.digest,
            },
          ],
        }),
      ),
    );
    this.#server = createServer((request, response) => {
      const url = request.url ?? "";
      if (url === "/v2/") response.end("{}");
      else if (url.startsWith("/v2/tiny/manifests/")) {
        response.setHeader("Content-Type", type);
        response.setHeader("Docker-Content-Digest", manifest.digest);
        response.setHeader("Content-Length", manifest.body.length);
        response.end(request.method === "HEAD" ? undefined : manifest.body);
      } else if (url.endsWith(config.digest)) response.end(config.body);
      else if (url.endsWith(compressed.digest)) {
        response.setHeader("Content-Length", compressed.body.length);
        response.write(compressed.body.subarray(0, 100));
        if (this.holdLayer) this.#held.push(response);
        else response.end(compressed.body.subarray(100));
        this.onLayer();
      } else {
        response.statusCode = 404;
        response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
      }
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.address = `127.0.0.1:${address.port}`;
  }

  close(): void {
    for (const response of this.#held) response.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe.skipIf(!docker.usable)("images on Docker", () => {
  let registry: Registry;
  let installation: TestInstallation;

  beforeAll(async () => {
    installation = await TestInstallation.make();
  });
  beforeEach(async () => {
    registry = new Registry();
    await registry.listen();
  });
  afterEach(async () => {
    registry.close();
    for (const { spaceId } of await installation.driver.list()) {
      await installation.driver.destroy(spaceId);
    }
    const reference = [`${registry.address}/tiny`];
    for (const { Id } of await installation.docker.listImages({ filters: { reference } })) {
      await installation.docker.getImage(Id).remove({ force: true });
    }
  });
  afterAll(async () => {
    await installation[Symbol.asyncDispose]();
    expect(await installation.leftovers()).toEqual([]);
  });

  it("pulls a missing image and tells about it, and the space runs without any program", async () => {
    const image = `${registry.address}/tiny`;
    const told: string[] = [];
    const spaces = await Promise.all([1, 2].map(() => installation.space({ image })));
    const onProgress = (message: string) => told.push(message);
    await Promise.all(spaces.map((space) => installation.driver.create(space, { onProgress })));
    expect(told).toContain(`Pulling image ${image}`);
    expect(told).toContain(`Pulled image ${image}`);
    for (const space of spaces) {
      await installation.driver.start(space);
      const connection = await installation.driver.connect(space);
      await expect(connection.spawn({ argv: ["ls"], env: {} })).rejects.toMatchObject({
        code: "COMMAND_NOT_FOUND",
      });
      await installation.driver.stop(space);
    }
  });

  it("says why an image cannot be had", async () => {
    for (const image of [`${registry.address}/other:1`, "127.0.0.1:1/nothing/listens:here"]) {
      const space = await installation.space({ image, network: "internal" });
      await expect(installation.driver.create(space)).rejects.toMatchObject({
        code: "IMAGE_NOT_FOUND",
        message: expect.stringContaining(image),
        suggestion: expect.stringContaining(`docker pull ${image}`),
        details: { image, reason: expect.any(String) },
      });
    }
    expect(await installation.leftovers()).toEqual([]);
  });

  it("names an image that is no image's name", async () => {
    const space = await installation.space({ image: "Not A Name" });
    await expect(installation.driver.create(space)).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("invalid reference format"),
    });
  });

  it("stops pulling when it is cancelled", async () => {
    registry.holdLayer = true;
    const controller = new AbortController();
    registry.onLayer = () => controller.abort();
    const space = await installation.space({ image: `${registry.address}/tiny` });
    await expect(
      installation.driver.create(space, { signal: controller.signal }),
    ).rejects.toMatchObject({ code: "CANCELLED" });
  });
});
