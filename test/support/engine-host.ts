/** Opens an engine for tests that act as several users, on a data directory that is removed afterwards. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EngineHost, openEngineHost } from "../../runtime/bindings/in-process.js";
import type { Client } from "../../runtime/contract/contract.js";
import type { Actor, Permission } from "../../runtime/contract/permissions.js";
import { localActor } from "../../runtime/engine/identity/local-user.js";
import type { RunLimits } from "../../runtime/runs/limits.js";

export interface TestHost extends AsyncDisposable {
  readonly host: EngineHost;
  readonly dataDir: string;
  /** The operating system's user. */
  readonly actor: Actor;
  /** The client of the operating system's user. */
  readonly local: Client;
  /** The client of whoever a token belongs to, as the server makes it for a request. */
  as(token: string): Promise<Client>;
  /** Adds a user with these permissions, in a role of its own, and a token for it. */
  addUser(name: string, permissions: readonly Permission[]): Promise<string>;
  /** A second engine on the same data directory, as another process has it. */
  openAnother(): Promise<EngineHost>;
}

interface TestHostOptions {
  /** `virtual` when absent. */
  readonly driver?: string;
  readonly publicUrl?: string;
  readonly runLimits?: Partial<RunLimits>;
}

export async function openTestHost({
  driver = "virtual",
  publicUrl,
  runLimits,
}: TestHostOptions = {}): Promise<TestHost> {
  const dataDir = await mkdtemp(join(tmpdir(), "spaces-host-"));
  const host = await openEngineHost({ dataDir, driver, publicUrl, runLimits });
  const actor = localActor();
  const local = host.clientFor({ actor, depth: 0, local: true });
  const others: EngineHost[] = [];
  return {
    host,
    dataDir,
    actor,
    local,
    async as(token) {
      const actor = await host.engine.identity.authenticate(token);
      return host.clientFor({ actor, depth: 0, local: false });
    },
    async addUser(name, permissions) {
      await local.roles.save({ role: `role-of-${name}`, permissions: [...permissions] });
      await local.users.create({ name, roles: [`role-of-${name}`] });
      return (await local.tokens.create({ name: "test", user: name })).token;
    },
    async openAnother() {
      const other = await openEngineHost({ dataDir, driver });
      others.push(other);
      return other;
    },
    async [Symbol.asyncDispose]() {
      for (const { id } of (await local.spaces.list({ all: true })).items) {
        await local.spaces.delete({ space: id, force: true });
      }
      for (const other of others) await other[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
