/** `spaces scripts test`: runs a script against an engine of its own, which is gone afterwards. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../runtime/contract/contract.js";
import { EXIT } from "./exit-codes.js";
import { readTextFile } from "./read-input.js";
import { readyToRun, runSandboxed, runStored } from "./run-script.js";
import { findScript, isFileName, type ScriptSource } from "./script-source.js";
import { nameOf, SOURCE_LIMIT } from "./scripts-save.js";
import type { Session } from "./session.js";

interface TestOptions {
  readonly space?: string;
  readonly timeout?: number;
  readonly input?: { readonly value: unknown };
}

/** The space of a native script that is given none: it can only run in one. */
const OWN_SPACE = "test";

/**
 * Tests a script: it runs as it would otherwise, but on an empty virtual engine.
 * @returns the script's own exit code
 */
export async function testScript(
  session: Session,
  given: string,
  args: readonly string[],
  options: TestOptions,
): Promise<number> {
  const native = nativeFile(given);
  const script = native ?? (await findScript(given, () => session.client(), session.signal));
  const settings = {
    args,
    input: options.input?.value,
    timeoutMs: options.timeout,
    space: options.space ?? (script.kind === "native" ? OWN_SPACE : undefined),
    permissions: {},
  };
  const ready = await readyToRun(session, script, settings, "spaces scripts test");
  if (ready === undefined) return EXIT.ok;
  const source = native?.source ?? (await sourceOf(session, script));
  await using trial = await openTrial();
  const { client, dataDir } = trial;
  if (ready.space !== undefined) {
    await client.spaces.create({ name: ready.space });
    await client.spaces.start({ space: ready.space });
  }
  if (script.kind === "sandboxed") {
    return await runSandboxed(session, script, ready, { client: async () => client, dataDir });
  }
  await client.scripts.save({ script: "test", source, inputs: script.inputs });
  return await runStored(session, client, { name: "test" }, ready);
}

/** A script for a program of a space, in a file; undefined for everything else. */
function nativeFile(
  given: string,
): (Extract<ScriptSource, { kind: "native" }> & { readonly source: string }) | undefined {
  if (!isFileName(given) || /\.(?:js|mjs|ts|mts)$/.test(given)) return undefined;
  const source = readTextFile(given, SOURCE_LIMIT);
  if (source === undefined || !/^#!(?!.*\b(?:spaces|node)\b)/.test(source)) return undefined;
  return { kind: "native", name: nameOf(given), description: "", isLib: false, source };
}

async function sourceOf(session: Session, script: ScriptSource): Promise<string> {
  if (script.kind === "sandboxed") return script.source;
  const client = await session.client();
  return (await client.scripts.get({ script: script.name }, { signal: session.signal })).source;
}

/** An empty virtual engine in a temporary directory; disposing removes both. */
async function openTrial(): Promise<
  AsyncDisposable & { readonly client: Client; readonly dataDir: string }
> {
  const { openInProcess } = await import("../runtime/bindings/in-process.js");
  const dataDir = await mkdtemp(join(tmpdir(), "spaces-trial-"));
  const remove = () => rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  try {
    const binding = await openInProcess({ dataDir, driver: "virtual" });
    return {
      client: binding.client,
      dataDir,
      async [Symbol.asyncDispose]() {
        await binding[Symbol.asyncDispose]();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
