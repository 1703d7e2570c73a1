/**
 * The engine: what the contract means. It holds the store and the drivers of one data directory;
 * the in-process binding makes it and calls it through the router.
 */
import { join } from "node:path";
import { newId } from "../contract/new-id.js";
import type { ProgressListener } from "../drivers/driver.js";
import type { RelayClient } from "../relay/relay-client.js";
import { RUN_LIMITS, type RunLimits } from "../runs/limits.js";
import { retryWhileBusy } from "../store/dialect.js";
import { openStore, type Store } from "../store/store.js";
import { Activity } from "./activity.js";
import { Background } from "./background.js";
import { Connections } from "./connections.js";
import type { EngineParts, ScriptRunner } from "./context.js";
import { DriverRegistry } from "./driver-registry.js";
import { Expiry } from "./expiry.js";
import { Fields } from "./fields.js";
import { Files } from "./files.js";
import { Forwards } from "./forwards.js";
import { Identity } from "./identity/identity.js";
import { Lifecycle } from "./lifecycle.js";
import { Processes } from "./processes.js";
import { Recovery } from "./recovery.js";
import { RunRecords } from "./run-records.js";
import { RunRetention } from "./run-retention.js";
import { Runs } from "./runs.js";
import { ScriptStarter } from "./script-starter.js";
import { Scripts } from "./scripts.js";
import { SecretBox } from "./secrets.js";
import { Spaces } from "./spaces.js";
import { StoredScripts } from "./stored-scripts.js";
import { Templates } from "./templates.js";

export interface EngineOptions {
  /** Absolute path of the data directory. */
  readonly dataDir: string;
  /** Driver for spaces whose template names none. */
  readonly driver?: string | undefined;
  readonly runScript: ScriptRunner;
  /** The address at which native scripts in spaces reach the server that opens this engine. */
  readonly publicUrl?: string | undefined;
  readonly onProgress?: ProgressListener | undefined;
  /** Other values for some of `RUN_LIMITS`. */
  readonly runLimits?: Partial<RunLimits> | undefined;
  /** Told of what went wrong without a caller who could be told; a warning of the process if absent. */
  readonly onTrouble?: ((message: string) => void) | undefined;
}

export class Engine implements AsyncDisposable {
  readonly parts: EngineParts;
  readonly spaces: Spaces;
  readonly lifecycle: Lifecycle;
  readonly expiry: Expiry;
  readonly fields: Fields;
  readonly files: Files;
  readonly templates: Templates;
  readonly processes: Processes;
  readonly storedScripts: StoredScripts;
  readonly scripts: Scripts;
  readonly runs: Runs;
  readonly runRetention: RunRetention;
  readonly background: Background;
  readonly forwards: Forwards;
  readonly identity: Identity;
  readonly #recovery: Recovery;
  readonly #connections: Connections;

  private constructor(parts: EngineParts) {
    this.parts = parts;
    this.identity = new Identity(parts.store);
    this.#recovery = new Recovery(parts);
    this.templates = new Templates(parts);
    this.fields = new Fields(parts);
    this.files = new Files(parts);
    this.forwards = new Forwards(parts, () => relayOf(parts.dataDir));
    this.lifecycle = new Lifecycle(parts, this.#recovery, this.forwards);
    this.expiry = new Expiry(parts, this.lifecycle, this.#recovery);
    this.spaces = new Spaces({
      parts,
      templates: this.templates,
      fields: this.fields,
      lifecycle: this.lifecycle,
      expiry: this.expiry,
      recovery: this.#recovery,
    });
    this.#connections = new Connections(parts, this.#recovery);
    const activity = new Activity(parts.store);
    this.processes = new Processes(parts, this.#connections, this.fields, activity);
    this.background = new Background(parts, this.#connections, this.fields, activity);
    this.storedScripts = new StoredScripts(parts.store);
    const records = new RunRecords(parts.store, parts.dataDir);
    this.runRetention = new RunRetention(parts.store, records, parts.runLimits);
    const starter = new ScriptStarter({
      parts,
      fields: this.fields,
      processes: this.processes,
      tokens: this.identity.tokens,
      onEnd: ({ id }) => records.indexBehind(id),
    });
    this.scripts = new Scripts(this.storedScripts, starter);
    this.runs = new Runs({
      ...{ parts, records, starter },
      scripts: this.scripts,
      identity: this.identity,
    });
  }

  /**
   * Opens the engine of a data directory and brings the store in line with the world.
   * @throws StoreError when the store cannot be used
   */
  static async open(options: EngineOptions): Promise<Engine> {
    const store = await openStore(options.dataDir);
    const installationId = await installationOf(store);
    const engine = new Engine({
      store,
      dataDir: options.dataDir,
      installationId,
      drivers: new DriverRegistry({ installationId, dataDir: options.dataDir }, options.driver),
      secrets: new SecretBox(options.dataDir),
      runScript: options.runScript,
      publicUrl: options.publicUrl,
      onProgress: options.onProgress,
      runLimits: { ...RUN_LIMITS, ...options.runLimits },
      onTrouble: options.onTrouble ?? ((message) => process.emitWarning(message)),
    });
    await engine.#recovery.open((row) => engine.lifecycle.remove(row));
    engine.expiry.sweepBehind();
    engine.runRetention.tidyBehind();
    return engine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runs[Symbol.asyncDispose]();
    this.identity[Symbol.dispose]();
    await this.expiry.settle();
    await this.runRetention.settle();
    await this.#connections[Symbol.asyncDispose]();
    await this.parts.drivers[Symbol.asyncDispose]();
    await this.parts.store.destroy();
  }
}

/** The relay of a data directory; its code is loaded when the first forward needs it. */
async function relayOf(dataDir: string): Promise<RelayClient> {
  const { RelayClient } = await import("../relay/relay-client.js");
  return new RelayClient({ controlSocket: join(dataDir, "relay", "control.sock") });
}

/** The id of this data directory, made when it is first opened. */
async function installationOf(store: Store): Promise<string> {
  const known = await store.selectFrom("installation").select("id").executeTakeFirst();
  if (known !== undefined) return known.id;
  return await retryWhileBusy(() =>
    store.transaction().execute(async (transaction) => {
      // Another process may have made it since: within the transaction nobody else can.
      const made = await transaction.selectFrom("installation").select("id").executeTakeFirst();
      if (made !== undefined) return made.id;
      const id = newId("ins");
      await transaction
        .insertInto("installation")
        .values({ id, created_at: new Date().toISOString() })
        .execute();
      return id;
    }),
  );
}
