/** What every part of the engine works with, and what every call brings along. */
import { SpacesError } from "../contract/errors.js";
import type { Actor, Permission } from "../contract/permissions.js";
import type { RunTrigger } from "../contract/runs.js";
import type { ProgressListener } from "../drivers/driver.js";
import type { ScriptPermissions, ScriptRequest, ScriptResult } from "../interpreter/types.js";
import type { RunLimits } from "../runs/limits.js";
import type { RunRecorder } from "../runs/recorder.js";
import type { Store } from "../store/store.js";
import type { DriverRegistry } from "./driver-registry.js";
import type { SecretBox } from "./secrets.js";

/** What a call brings along beside its input. */
export interface CallContext {
  readonly actor: Actor;
  /** How many scripts deep this call is: 0 from a person or program, 1 from a script, and so on. */
  readonly depth: number;
  /** Whether the caller is on this machine: only then it is shown host paths. */
  readonly local: boolean;
  /** Whether a script calls that was granted only a part of what its starter may do. */
  readonly granted?: boolean | undefined;
  /** By what the call came, for the records of runs; `api` when absent. */
  readonly via?: "mcp" | undefined;
  /** The run whose script makes the call. */
  readonly run?: string | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What has a script run, where that is more than a call of the contract. */
export interface ScriptRunOptions extends CallOptions {
  readonly trigger?: RunTrigger | undefined;
}

/** A sandboxed script that the engine wants run. */
export interface EngineScript
  extends Pick<
    ScriptRequest,
    "filename" | "source" | "args" | "input" | "space" | "limits" | "moduleSource" | "signal"
  > {
  /** Opens a part of the network and of this process's environment. Nothing when absent. */
  readonly permissions?: ScriptPermissions | undefined;
}

/** Runs a sandboxed script on the engine's behalf, and ends its record; given by the binding. */
export type ScriptRunner = (
  script: EngineScript,
  context: CallContext,
  recorder: RunRecorder,
) => Promise<ScriptResult>;

/** What the engine is made of. */
export interface EngineParts {
  readonly store: Store;
  readonly dataDir: string;
  readonly installationId: string;
  readonly drivers: DriverRegistry;
  readonly secrets: SecretBox;
  readonly runScript: ScriptRunner;
  /** The server's address as spaces reach it; undefined where no server is, or none is known. */
  readonly publicUrl: string | undefined;
  readonly onProgress: ProgressListener | undefined;
  readonly runLimits: RunLimits;
  /** Told of what went wrong without a caller who could be told. */
  readonly onTrouble: (message: string) => void;
}

/** @throws SpacesError `PERMISSION_DENIED` where the actor lacks a permission that is needed */
export function requirePermission(actor: Actor, permission: Permission | undefined): void {
  if (permission === undefined || actor.permissions.has(permission)) return;
  throw new SpacesError("PERMISSION_DENIED", `The permission ${permission} is needed for this.`);
}
