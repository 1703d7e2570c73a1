/** Opens bindings for tests, each on a data directory of its own that is removed afterwards. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openInProcess } from "../../runtime/bindings/in-process.js";
import { openRemote } from "../../runtime/bindings/remote/remote.js";
import type { Client } from "../../runtime/contract/contract.js";
import { openServer } from "../../runtime/server/server.js";

export type BindingKind = Binding["kind"];

export const BINDINGS: readonly BindingKind[] = ["in-process", "remote"];

export interface TestClient extends AsyncDisposable {
  readonly client: Client;
  readonly binding: Binding;
  readonly dataDir: string;
  /** Where a space's files are on this machine, whichever binding names it. */
  workspaceOf(spaceId: string): string;
  /** A second engine on the same data directory: for the remote binding, a second server. */
  openAnother(): Promise<Binding>;
}

/** Opens a binding on an empty data directory; disposing deletes all its spaces. */
export async function openTestClient(
  driver: string,
  kind: BindingKind = "in-process",
): Promise<TestClient> {
  const dataDir = await mkdtemp(join(tmpdir(), "spaces-test-"));
  const others: Binding[] = [];
  const open = kind === "remote" ? servedBindings() : localBindings;
  const binding = await open(dataDir, driver);
  return {
    client: binding.client,
    binding,
    dataDir,
    workspaceOf: (spaceId) => join(dataDir, "spaces", spaceId, "workspace"),
    async openAnother() {
      const other = await open(dataDir, driver);
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

type OpenBinding = (dataDir: string, driver: string) => Promise<Binding>;

const localBindings: OpenBinding = (dataDir, driver) => openInProcess({ dataDir, driver });

/** Bindings to servers of their own, all with the token that the first of them made. */
function servedBindings(): OpenBinding {
  let token: string | undefined;
  return async (dataDir, driver) => {
    const server = await openServer({ dataDir, driver, port: 0 });
    token ??= server.adminToken;
    const binding = await openRemote({ url: server.url, token });
    return {
      ...binding,
      async [Symbol.asyncDispose]() {
        await binding[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  };
}
