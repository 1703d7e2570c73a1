/** Spaces in a temporary data directory, for the tests of the virtual driver. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Driver, GuestConnection, ProcessExit, SpaceSpec, SpawnRequest } from "../driver.js";
import { createVirtualDriver } from "./virtual-driver.js";

export interface Finished {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exit: ProcessExit;
}

export interface TestBed extends AsyncDisposable {
  readonly dataDir: string;
  readonly driver: Driver;
  /** The spec of a space whose directories exist. */
  spec(id: string, changes?: Partial<SpaceSpec>): SpaceSpec;
  /** A started space and a way into it. */
  started(id?: string): Promise<{ space: SpaceSpec; connection: GuestConnection }>;
}

export function testBed(): TestBed {
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), "virtual-driver-")));
  const driver = createVirtualDriver({ installationId: "test", dataDir });
  const spec = (id: string, changes: Partial<SpaceSpec> = {}): SpaceSpec => {
    const workspace = join(dataDir, "spaces", id, "workspace");
    const stateDir = join(dataDir, "spaces", id, "state");
    mkdirSync(workspace, { recursive: true });
    mkdirSync(stateDir, { recursive: true });
    return {
      id,
      name: id,
      workspace,
      stateDir,
      owner: "owner",
      workspaceMount: "/workspace",
      workdir: "/workspace",
      shell: "bash",
      env: {},
      resources: {},
      network: "none",
      ...changes,
    };
  };
  return {
    dataDir,
    driver,
    spec,
    async started(id = "spc_one") {
      const space = spec(id);
      await driver.start(space);
      return { space, connection: await driver.connect(space) };
    },
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Runs a program to its end; rejects as its `exit` does. */
export async function run(
  connection: GuestConnection,
  argv: SpawnRequest["argv"],
  options: Partial<SpawnRequest> = {},
): Promise<Finished> {
  const process = await connection.spawn({ argv, env: {}, ...options });
  const [stdout, stderr, exit] = await Promise.all([
    collect(process.stdout),
    collect(process.stderr),
    process.exit,
  ]);
  return { stdout, stderr, exit };
}

/** Runs a line in the space's shell. */
export function shell(connection: GuestConnection, line: string): Promise<Finished> {
  return run(connection, ["bash", "-c", line]);
}
