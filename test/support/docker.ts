/**
 * Tells tests whether a Docker engine can be used here. Tests that need one are skipped without it,
 * unless the environment says that it must be there.
 */
import { tmpdir } from "node:os";
import { createDockerDriver } from "../../runtime/drivers/docker/docker-driver.js";

export type DockerAvailability =
  | { readonly usable: true }
  | { readonly usable: false; readonly reason: string };

/**
 * Whether a Docker engine can be used, and if not, why. To be given to `describe.skipIf`.
 * @throws Error when it cannot and `SPACES_TEST_REQUIRE` (names separated by commas) has `docker`.
 */
export async function dockerAvailability(): Promise<DockerAvailability> {
  const probe = await createDockerDriver({
    installationId: "availability",
    dataDir: tmpdir(),
  }).probe();
  if (probe.usable) return { usable: true };
  const required = (process.env.SPACES_TEST_REQUIRE ?? "").split(",").map((name) => name.trim());
  if (required.includes("docker")) {
    throw new Error(`SPACES_TEST_REQUIRE asks for docker: ${probe.reason} ${probe.remedy}`);
  }
  return { usable: false, reason: probe.reason };
}
