/** The tokens that `spaces login` stores, each under the URL of the server that it is for. */
import { stringify } from "yaml";
import { credentialsPath } from "./paths.js";
import { writePrivateFile } from "./private-file.js";
import { type Credentials, credentialsSchema } from "./schema.js";
import { readYamlFile } from "./yaml-file.js";

/** The token for exactly this URL, in its one form. */
export async function storedToken(url: string): Promise<string | undefined> {
  const { tokens } = await readCredentials();
  return Object.hasOwn(tokens, url) ? tokens[url]?.token : undefined;
}

/** Stores a token; the one that was there for this URL is replaced. */
export async function storeToken(url: string, token: string, user: string): Promise<void> {
  const { tokens } = await readCredentials();
  await write({ tokens: { ...tokens, [url]: { token, user } } });
}

/** Forgets the token for a URL. @returns whether there was one */
export async function forgetToken(url: string): Promise<boolean> {
  const { tokens } = await readCredentials();
  if (!Object.hasOwn(tokens, url)) return false;
  const { [url]: _gone, ...rest } = tokens;
  await write({ tokens: rest });
  return true;
}

async function readCredentials(): Promise<Credentials> {
  const read = await readYamlFile(credentialsPath(), credentialsSchema, { secret: true });
  return read ?? { tokens: {} };
}

async function write(credentials: Credentials): Promise<void> {
  await writePrivateFile(
    credentialsPath(),
    `# Tokens, written by \`spaces login\`. Do not share this file.\n${stringify(credentials)}`,
  );
}
