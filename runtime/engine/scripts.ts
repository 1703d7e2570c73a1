/** Stored scripts: kept by owner and name, run in a sandbox or natively inside of a space. */
import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { Script, ScriptRun } from "../contract/scripts.js";
import type { ScriptResult } from "../interpreter/types.js";
import type { ScriptRow, SpaceRow } from "../store/tables.js";
import type { CallContext, CallOptions, EngineParts } from "./context.js";
import { workspaceFiles } from "./files.js";
import type { Tokens } from "./identity/tokens.js";
import { requireUser } from "./identity/user-rows.js";
import { notRunning } from "./lifecycle.js";
import type { Processes } from "./processes.js";
import { accessFor, granted } from "./script-grant.js";
import { findSpace, WORKSPACE_MOUNT } from "./space-rows.js";

/** How deep scripts may run scripts; a script that runs itself would never end. */
const DEEPEST = 8;

interface SaveRequest {
  readonly script: string;
  readonly source: string;
  readonly description?: string | undefined;
  readonly language?: Script["language"] | undefined;
}

interface RunRequest {
  readonly script: string;
  readonly space?: string | undefined;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly grant?: readonly Permission[] | undefined;
}

export class Scripts {
  readonly #parts: EngineParts;
  readonly #processes: Processes;
  readonly #tokens: Tokens;

  constructor(parts: EngineParts, processes: Processes, tokens: Tokens) {
    this.#parts = parts;
    this.#processes = processes;
    this.#tokens = tokens;
  }

  /** Adds or replaces a script. @throws SpacesError `INVALID_INPUT` for an empty one */
  async save(context: CallContext, request: SaveRequest): Promise<Script> {
    if (request.source.trim() === "") {
      throw new SpacesError("INVALID_INPUT", `The script "${request.script}" is empty.`);
    }
    const shebang = request.source.startsWith("#!") && !isSandboxShebang(request.source);
    const language = request.language ?? (shebang ? "native" : "typescript");
    if (language === "native" && !request.source.startsWith("#!")) {
      throw new SpacesError("INVALID_INPUT", "A native script must start with #!.");
    }
    const now = new Date().toISOString();
    const change = {
      ...(request.description === undefined ? {} : { description: request.description }),
      language,
      source: request.source,
      updated_at: now,
    };
    const row = await this.#parts.store.transaction().execute(async (store) => {
      await requireUser(store, context.actor);
      return await store
        .insertInto("scripts")
        .values({
          owner: context.actor.id,
          name: request.script,
          description: "",
          created_at: now,
          ...change,
        })
        .onConflict((conflict) => conflict.columns(["owner", "name"]).doUpdateSet(change))
        .returningAll()
        .executeTakeFirstOrThrow();
    });
    return scriptOf(row);
  }

  /** @throws SpacesError `SCRIPT_NOT_FOUND` */
  async get(context: CallContext, name: string): Promise<Script> {
    const row = await this.#parts.store
      .selectFrom("scripts")
      .selectAll()
      .where("owner", "=", context.actor.id)
      .where("name", "=", name)
      .executeTakeFirst();
    if (row === undefined) throw notFound(name);
    return scriptOf(row);
  }

  async list(context: CallContext): Promise<Script[]> {
    const rows = await this.#parts.store
      .selectFrom("scripts")
      .selectAll()
      .where("owner", "=", context.actor.id)
      .orderBy("name")
      .execute();
    return rows.map(scriptOf);
  }

  /** @throws SpacesError `SCRIPT_NOT_FOUND` */
  async delete(context: CallContext, name: string): Promise<void> {
    const { numDeletedRows } = await this.#parts.store
      .deleteFrom("scripts")
      .where("owner", "=", context.actor.id)
      .where("name", "=", name)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw notFound(name);
  }

  /**
   * Runs a stored script. One in JavaScript or TypeScript gets a fresh sandbox, whose `space` module
   * is bound to the space; a native one runs inside of the space.
   * @returns how it ended, with its output; a script that failed is not an error of this call
   * @throws SpacesError `SCRIPT_NOT_FOUND`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`,
   *   `INVALID_INPUT` for a native script without a space, `LIMIT_EXCEEDED` for nesting too deep,
   *   `UNSUPPORTED` for a grant to a native script where no server is known to it
   */
  async run(
    context: CallContext,
    request: RunRequest,
    { signal }: CallOptions,
  ): Promise<ScriptRun> {
    const script = await this.get(context, request.script);
    const row =
      request.space === undefined
        ? undefined
        : await findSpace(this.#parts.store, context.actor, request.space);
    if (row !== undefined && row.status !== "running") throw notRunning(row);
    if (script.language === "native") {
      if (row === undefined) {
        throw new SpacesError("INVALID_INPUT", `The native script "${script.name}" needs a space.`);
      }
      return await this.#runNative(context, script, row, request, signal);
    }
    if (context.depth >= DEEPEST) {
      throw new SpacesError("LIMIT_EXCEEDED", `Scripts may run scripts ${DEEPEST} deep at most.`, {
        suggestion: "Check whether the script runs itself.",
      });
    }
    const extension = script.language === "typescript" ? "ts" : "js";
    const result = await this.#parts.runScript(
      {
        filename: `${script.name}.${extension}`,
        source: script.source,
        args: request.args,
        space: row?.id,
        timeoutMs: request.timeoutMs,
      },
      { ...granted(context, request.grant), depth: context.depth + 1 },
      signal,
    );
    return scriptRunOf(result);
  }

  async #runNative(
    context: CallContext,
    script: Script,
    row: SpaceRow,
    request: RunRequest,
    signal: AbortSignal | undefined,
  ): Promise<ScriptRun> {
    await using access = await accessFor(this.#parts, this.#tokens, context, {
      script: script.name,
      grant: request.grant,
      timeoutMs: request.timeoutMs,
    });
    const name = `.spaces-script-${randomBytes(8).toString("hex")}`;
    const files = await workspaceFiles(this.#parts, row.id);
    try {
      await files.write({
        path: name,
        content: script.source,
        mode: 0o755,
        overwrite: false,
      });
      const result = await this.#processes.run(
        context,
        row.id,
        {
          command: posix.join(WORKSPACE_MOUNT, name),
          args: request.args,
          timeoutMs: request.timeoutMs,
          env: access?.env,
          secrets: access?.secrets,
        },
        { signal },
      );
      return {
        exitCode: result.exitCode,
        output: result.output,
        truncated: result.truncated,
        durationMs: result.durationMs,
        ...nativeError(script, result.exitCode, result.timedOut),
      };
    } finally {
      await files.remove({ path: name, force: true });
    }
  }
}

/** A shebang that names this runtime makes a script executable on the host; it is no native one. */
function isSandboxShebang(source: string): boolean {
  return /^#!.*\bspaces\b/.test(source);
}

function nativeError(
  script: Script,
  exitCode: number,
  timedOut: boolean,
): Pick<ScriptRun, "error"> {
  if (timedOut) {
    return { error: new SpacesError("SCRIPT_TIMEOUT").serialize() };
  }
  if (exitCode === 0) return {};
  const message = `The script "${script.name}" ended with code ${exitCode}.`;
  return { error: new SpacesError("SCRIPT_FAILED", message).serialize() };
}

function scriptRunOf(result: ScriptResult): ScriptRun {
  const { error } = result;
  return {
    exitCode: result.exitCode,
    output: result.output,
    truncated: result.truncated,
    durationMs: result.durationMs,
    ...(error === undefined
      ? {}
      : {
          error: {
            code: error.code,
            message: error.name === "" ? error.message : `${error.name}: ${error.message}`,
            details: {
              ...(error.position === undefined ? {} : { position: error.position }),
              ...(error.error === undefined ? {} : { error: error.error }),
            },
          },
        }),
  };
}

function scriptOf(row: ScriptRow): Script {
  return {
    name: row.name,
    description: row.description,
    language: row.language as Script["language"],
    source: row.source,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function notFound(name: string): SpacesError {
  return new SpacesError("SCRIPT_NOT_FOUND", `There is no script "${name}".`);
}
