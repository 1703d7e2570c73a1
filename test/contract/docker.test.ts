/** The contract over the in-process binding on a real Docker engine. */
import { beforeAll, describe } from "vitest";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";
import { contractSuite } from "./suite.js";

const docker = await dockerAvailability();

describe.skipIf(!docker.usable)("in-process binding, docker driver", () => {
  beforeAll(async () => {
    process.env.SPACES_DEFAULT_IMAGE = await ensureTestImage();
  });
  contractSuite({ driver: "docker", native: true });
});
