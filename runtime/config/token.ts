/**
 * Finds the token for a server, and keeps it from going to another one: a project's file may say
 * where a server is, but whoever wrote it must not be sent a token that was meant elsewhere.
 */
import { readFile } from "node:fs/promises";
import { SpacesError } from "../contract/errors.js";
import { credentialsPath } from "./paths.js";
import type { Config, Setting } from "./resolve.js";

/**
 * The token to send to the configured server, and where it is from; undefined where there is none.
 * @param given what the caller itself names, before everything else
 * @throws SpacesError `UNAUTHENTICATED` when the URL comes from a project's file and the only tokens
 *   at hand were not stored for it; `INVALID_INPUT` for a token file that cannot be read
 */
export async function tokenFor(
  config: Config,
  given?: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Setting<string> | undefined> {
  const { url, urlChosenBy } = config;
  if (url === undefined) return undefined;
  const named = given === undefined ? await environmentToken(env) : explicit(given);
  if (urlChosenBy === undefined && named !== undefined) return named;
  if (config.profileToken !== undefined) return config.profileToken;
  const { storedToken } = await import("./credentials.js");
  const stored = await storedToken(url.value);
  if (stored === undefined && urlChosenBy !== undefined && named !== undefined) {
    throw new SpacesError(
      "UNAUTHENTICATED",
      `${named.origin.where} is not sent to ${url.value}: that URL comes from ${urlChosenBy}.`,
      {
        suggestion: `If you trust that server, run \`spaces login ${url.value}\`, or name it yourself with --url or SPACES_URL.`,
        details: { url: url.value, file: urlChosenBy },
      },
    );
  }
  if (stored === undefined) return undefined;
  return { value: stored, origin: { kind: "user", where: credentialsPath(env) } };
}

function explicit(value: string): Setting<string> {
  return { value, origin: { kind: "flag", where: "The given token" } };
}

/** `SPACES_TOKEN`, or what is in the file that `SPACES_TOKEN_FILE` names. */
export async function environmentToken(
  env: NodeJS.ProcessEnv,
): Promise<Setting<string> | undefined> {
  const { SPACES_TOKEN: token, SPACES_TOKEN_FILE: file } = env;
  if (token && file) {
    throw new SpacesError("INVALID_INPUT", "SPACES_TOKEN and SPACES_TOKEN_FILE are both set.", {
      suggestion: "Set one of them.",
    });
  }
  if (token) {
    return { value: token.trim(), origin: { kind: "env", where: "SPACES_TOKEN" } };
  }
  if (!file) return undefined;
  return { value: await readToken(file), origin: { kind: "env", where: "SPACES_TOKEN_FILE" } };
}

/** Reads a token from a file. @throws SpacesError `INVALID_INPUT` */
export async function readToken(file: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(file, "utf8")).trim();
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new SpacesError("INVALID_INPUT", `The token file ${file} cannot be read: ${reason}.`, {
      suggestion: "Name a file that holds the token and nothing else.",
      cause,
    });
  }
  if (text !== "") return text;
  throw new SpacesError("INVALID_INPUT", `The token file ${file} is empty.`, {
    suggestion: "Put the token into it.",
  });
}
