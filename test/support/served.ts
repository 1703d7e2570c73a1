/** Serves an engine for tests, and opens the remote binding to it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Binding } from "../../runtime/bindings/binding.js";
import { openRemote, type RemoteOptions } from "../../runtime/bindings/remote/remote.js";
import { openServer, type Server, type ServerOptions } from "../../runtime/server/server.js";

export interface Served extends AsyncDisposable {
  readonly server: Server;
  readonly dataDir: string;
  readonly binding: Binding;
  /** Another client of the same server. */
  connect(options?: Partial<RemoteOptions>): Promise<Binding>;
}

/** Serves an engine on an empty data directory; disposing deletes all its spaces. */
export async function openServed(options: Partial<ServerOptions> = {}): Promise<Served> {
  const dataDir = await mkdtemp(join(tmpdir(), "spaces-served-"));
  const server = await openServer({
    dataDir,
    port: 0,
    auth: "none",
    driver: "virtual",
    ...options,
  });
  const bindings: Binding[] = [];
  const connect = async (more: Partial<RemoteOptions> = {}): Promise<Binding> => {
    const token = server.adminToken;
    const binding = await openRemote({ url: server.url, token, ...more });
    bindings.push(binding);
    return binding;
  };
  const binding = await connect();
  return {
    server,
    dataDir,
    binding,
    connect,
    async [Symbol.asyncDispose]() {
      for (const { id } of (await binding.client.spaces.list({ all: true })).items) {
        await binding.client.spaces.delete({ space: id, force: true });
      }
      for (const each of bindings) await each[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
