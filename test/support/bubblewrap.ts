/**
 * Tells tests whether bubblewrap can make spaces here. Tests that need it are skipped without it,
 * unless the environment says that it must be there.
 */
import { tmpdir } from "node:os";
import { createBubblewrapDriver } from "../../runtime/drivers/bubblewrap/bubblewrap-driver.js";

export type BubblewrapAvailability =
  | { readonly usable: true }
  | { readonly usable: false; readonly reason: string };

/**
 * Whether bubblewrap can be used, and if not, why. To be given to `describe.skipIf`.
 * @throws Error when it cannot and `SPACES_TEST_REQUIRE` (names separated by commas) has
 *   `bubblewrap`.
 */
export async function bubblewrapAvailability(): Promise<BubblewrapAvailability> {
  const probe = await createBubblewrapDriver({
    installationId: "availability",
    dataDir: tmpdir(),
  }).probe();
  if (probe.usable) return { usable: true };
  const required = (process.env.SPACES_TEST_REQUIRE ?? "").split(",").map((name) => name.trim());
  if (required.includes("bubblewrap")) {
    throw new Error(`SPACES_TEST_REQUIRE asks for bubblewrap: ${probe.reason} ${probe.remedy}`);
  }
  return { usable: false, reason: probe.reason };
}
