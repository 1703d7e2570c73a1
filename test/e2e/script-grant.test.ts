/** A script in a container calls the server that started it, with what it was granted and no more. */
import { type AddressInfo, createServer } from "node:net";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";
import { openServed, type Served } from "../support/served.js";

/**
 * A free port of this machine's address on Docker's own bridge; undefined where containers have no
 * such way to this machine.
 */
async function bridgePlace(): Promise<{ address: string; port: number } | undefined> {
  const { IPAM } = await new Docker().getNetwork("bridge").inspect();
  const address = IPAM?.Config?.[0]?.Gateway;
  if (address === undefined) return undefined;
  const server = createServer();
  const port = await new Promise<number | undefined>((resolve) => {
    // An interface without containers is down and not listed, but its address can be bound.
    server.once("error", () => resolve(undefined));
    server.listen(0, address, () => resolve((server.address() as AddressInfo).port));
  });
  if (port === undefined) return undefined;
  await new Promise((resolve) => server.close(resolve));
  return { address, port };
}

const docker = await dockerAvailability();
const place = docker.usable ? await bridgePlace() : undefined;

/** Prints the status of each call, and keeps the token for what comes after the script. */
const SCRIPT = `#!/bin/bash
ask() {
  echo "$1 $2 $(curl -s -m 20 -o /dev/null -w '%{http_code}' -X "$1" -H "authorization: Bearer $SPACES_TOKEN" \
    -H 'content-type: application/json' "\${@:3}" "$SPACES_URL$2")"
}
printf %s "$SPACES_TOKEN" > token
ask GET /v1/system/whoami
ask GET /v1/spaces/home
ask POST /v1/spaces -d '{"name":"made-by-script"}'
ask POST /v1/spaces/home/processes/run -d '{"command":"touch from-script"}'
ask GET '/v1/spaces/home/files?path=.'
ask GET /v1/spaces/theirs
ask GET '/v1/spaces?all=true'
ask GET /v1/users
ask POST /v1/tokens -d '{"name":"more"}'
ask GET /metrics
SPACES_TOKEN=spt_wrong ask GET /v1/spaces
echo "$SPACES_TOKEN"
`;

describe.skipIf(place === undefined)("a native script with a grant, on docker", () => {
  let served: Served;
  let ann: Client;
  beforeAll(async () => {
    process.env.SPACES_DEFAULT_IMAGE = await ensureTestImage();
    served = await openServed({
      driver: "docker",
      auth: "token",
      host: "0.0.0.0",
      port: place?.port,
      publicUrl: `http://${place?.address}:${place?.port}`,
    });
    const admin = served.binding.client;
    await admin.spaces.create({ name: "theirs" });
    await admin.users.create({ name: "ann", roles: ["user"] });
    const { token } = await admin.tokens.create({ name: "ann", user: "ann" });
    ann = (await served.connect({ token })).client;
    await ann.spaces.create({ name: "home" });
    await ann.spaces.start({ space: "home" });
    await ann.scripts.save({ script: "caller", source: SCRIPT });
  });
  afterAll(async () => {
    await served[Symbol.asyncDispose]();
  });

  it("calls its server from the container, is refused the rest, and its token ends with it", async () => {
    const result = await ann.scripts.run({
      script: "caller",
      space: "home",
      // The last she has not, and so cannot give.
      grant: ["UseSpaces", "RunCommands", "ManageUsers"],
    });
    expect(result.output.split("\n")).toEqual([
      "GET /v1/system/whoami 200",
      "GET /v1/spaces/home 200",
      "POST /v1/spaces 201",
      "POST /v1/spaces/home/processes/run 200",
      "GET /v1/spaces/home/files?path=. 403",
      "GET /v1/spaces/theirs 404",
      "GET /v1/spaces?all=true 403",
      "GET /v1/users 403",
      "POST /v1/tokens 403",
      "GET /metrics 403",
      "GET /v1/spaces 401",
      "***",
      "",
    ]);
    const listed = (await ann.spaces.list({})).items.map(({ name }) => name);
    expect(listed.sort()).toEqual(["home", "made-by-script"]);
    expect((await ann.files.exists({ space: "home", path: "from-script" })).exists).toBe(true);
    const { content: token } = await ann.files.read({ space: "home", path: "token" });
    expect(token).toMatch(/^spt_/);
    const after = (await served.connect({ token })).client;
    await expect(after.spaces.list({})).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });
});
