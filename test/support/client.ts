/** Opens bindings for tests, each on a data directory of its own that is removed afterwards. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openInProcess } from "../../runtime/bindings/in-process.js";
import type { Client } from "../../runtime/contract/contract.js";

export interface TestClient extends AsyncDisposable {
  readonly client: Client;
  readonly dataDir: string;
  /** A second engine on the same data directory. */
  openAnother(): Promise<Binding>;
}

/** Opens an in-process binding on an empty data directory; disposing deletes all its spaces. */
export async function openTestClient(driver: string): Promise<TestClient> {
  const dataDir = await mkdtemp(join(tmpdir(), "spaces-test-"));
  const binding = await openInProcess({ dataDir, driver });
  const others: Binding[] = [];
  return {
    client: binding.client,
    dataDir,
    async openAnother() {
      const other = await openInProcess({ dataDir, driver });
      others.push(other);
      return other;
    },
    async [Symbol.asyncDispose]() {
      for (const { id } of (await binding.client.spaces.list({})).items) {
        await binding.client.spaces.delete({ space: id, force: true });
      }
      for (const other of others) await other[Symbol.asyncDispose]();
      await binding[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
