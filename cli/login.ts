/** `spaces login` and `spaces logout`: keep the token for a server, and forget it. */
import type { Command } from "commander";
import { resolveConfig } from "../runtime/config/resolve.js";
import { parseServerUrl } from "../runtime/config/server-address.js";
import { environmentToken, readToken } from "../runtime/config/token.js";
import { SpacesError } from "../runtime/contract/errors.js";
import type { Whoami } from "../runtime/contract/system.js";
import { examples } from "./help.js";
import { readStdin } from "./read-input.js";
import type { Session } from "./session.js";
import { askHidden } from "./terminal.js";
import { printable } from "./text.js";

const LONGEST_TOKEN = 4096;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export function defineLogin(program: Command, session: Session): void {
  const login = program
    .command("login")
    .summary("store the token for a server")
    .description(
      "Check a token at a server and store it, readable by you alone. It is asked for at a terminal, or taken from --token-file, SPACES_TOKEN or SPACES_TOKEN_FILE. With --profile, the server becomes that profile, which is used from then on.",
    )
    .argument("<url>", "such as https://spaces.example.org")
    .option("--token-file <file>", "file that holds the token; - is standard input")
    .action(async (url: string, { tokenFile }: { tokenFile?: string }) => {
      await logIn(session, url, tokenFile);
    });
  examples(
    login,
    "login https://spaces.example.org",
    "login https://spaces.example.org --profile work",
    "login http://127.0.0.1:7700 --token-file - < token",
  );

  const logout = program
    .command("logout")
    .summary("forget the token for a server")
    .description("Forget the token that `spaces login` stored; with --revoke, also at the server.")
    .argument("[url]", "the server that is configured when absent")
    .option("--revoke", "revoke the token, so that no copy of it is of use")
    .action(async (url: string | undefined, { revoke = false }: { revoke?: boolean }) => {
      await logOut(session, url, revoke);
    });
  examples(logout, "logout", "logout https://spaces.example.org --revoke");
}

async function logIn(session: Session, given: string, tokenFile: string | undefined) {
  const { output } = session;
  const { url, base, socketPath } = parseServerUrl(given);
  const token = await tokenFrom(session, url, tokenFile);
  const who = await whoami(session, url, token);
  const { storeToken } = await import("../runtime/config/credentials.js");
  await storeToken(url, token, who.name);
  const { profile } = session.globals;
  if (profile !== undefined) {
    const { changeUserFile } = await import("../runtime/config/user-file.js");
    await changeUserFile(`profiles.${profile}.url`, url);
    await changeUserFile("profile", profile);
  }
  output.note(`Logged in at ${url} as ${printable(who.name)}.`);
  if (socketPath === undefined && base.protocol === "http:" && !LOOPBACK.test(base.hostname)) {
    output.note(
      "The token travels to it unencrypted: use https:// where others share the network.",
    );
  }
  output.note(
    profile === undefined
      ? `Use it with --url ${url}, SPACES_URL, or: spaces config set url ${url}`
      : `The profile ${profile} is used from now on; --binding local is for this machine.`,
  );
  if (output.isJson) output.json({ url, user: who.name, permissions: who.permissions, profile });
}

async function tokenFrom(
  session: Session,
  url: string,
  tokenFile: string | undefined,
): Promise<string> {
  if (tokenFile === "-") return (await readStdin(LONGEST_TOKEN, session.signal)).trim();
  if (tokenFile !== undefined) return await readToken(tokenFile);
  const named = await environmentToken(process.env);
  if (named !== undefined) return named.value;
  if (process.stdin.isTTY === true) return await askHidden(`Token for ${url}: `, session.signal);
  throw new SpacesError(
    "INVALID_INPUT",
    "No token was given, and there is no terminal to ask at.",
    {
      suggestion: "Give it with --token-file, or - for standard input, or in SPACES_TOKEN.",
    },
  );
}

async function whoami(session: Session, url: string, token: string): Promise<Whoami> {
  const { openRemote } = await import("../runtime/bindings/remote/remote.js");
  await using binding = await openRemote({ url, token });
  return await binding.client.system.whoami({}, { signal: session.signal });
}

async function logOut(session: Session, given: string | undefined, revoke: boolean): Promise<void> {
  const { output } = session;
  const url = given === undefined ? await configuredUrl(session) : parseServerUrl(given).url;
  const { forgetToken, storedToken } = await import("../runtime/config/credentials.js");
  const token = await storedToken(url);
  if (revoke && token !== undefined) await revokeAt(session, url, token);
  await forgetToken(url);
  output.note(
    token === undefined
      ? `No token is stored for ${url}.`
      : `Forgot the token for ${url}.${revoke ? " It is revoked." : ""}`,
  );
  if (output.isJson) output.json({ url, forgotten: token !== undefined });
}

async function revokeAt(session: Session, url: string, token: string): Promise<void> {
  const { openRemote } = await import("../runtime/bindings/remote/remote.js");
  const { signal } = session;
  await using binding = await openRemote({ url, token });
  const { client } = binding;
  try {
    const { token: own } = await client.system.whoami({}, { signal });
    if (own !== undefined) await client.tokens.revoke({ token: own.id }, { signal });
  } catch (error) {
    // A token that the server does not take any more is as good as revoked.
    if (!SpacesError.isInstance(error) || error.code !== "UNAUTHENTICATED") throw error;
  }
}

async function configuredUrl({ globals }: Session): Promise<string> {
  const { url } = await resolveConfig({ url: globals.url, profile: globals.profile });
  if (url !== undefined) return url.value;
  throw new SpacesError("INVALID_INPUT", "No server is configured.", {
    suggestion: "Name one: spaces logout https://spaces.example.org",
  });
}
