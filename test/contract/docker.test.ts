/** The contract over every binding on a real Docker engine. */
import { beforeAll, describe } from "vitest";
import { BINDINGS } from "../support/client.js";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";
import { contractSuite } from "./suite.js";

const docker = await dockerAvailability();

describe.skipIf(!docker.usable).each(BINDINGS)("%s binding, docker driver", (binding) => {
  beforeAll(async () => {
    process.env.SPACES_DEFAULT_IMAGE = await ensureTestImage();
  });
  contractSuite({ driver: "docker", binding, native: true });
});
