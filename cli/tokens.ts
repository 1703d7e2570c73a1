/** `spaces tokens create|list|revoke`: what callers of a server prove themselves with. */
import { type Command, Option } from "commander";
import type { Permission } from "../runtime/contract/permissions.js";
import type { Token } from "../runtime/contract/tokens.js";
import { examples } from "./help.js";
import { parsePermissions } from "./permission-list.js";
import { parseLifetime } from "./quantities.js";
import type { Session } from "./session.js";
import { ago, table } from "./text.js";

interface CreateOptions {
  readonly name: string;
  readonly user?: string;
  readonly scope?: Permission[];
  readonly expires?: number;
}

export function defineTokens(program: Command, session: Session): void {
  const tokens = program
    .command("tokens")
    .summary("create, list and revoke tokens")
    .description("Tokens are what callers of a server prove themselves with.");

  const create = tokens
    .command("create")
    .description("Create a token and print it. It is shown this once and cannot be read again.")
    .requiredOption("--name <name>", "what it is for")
    .option("--user <user>", "whose it is (default: your own)")
    .option("--scope <permissions>", "limit it to these, separated by commas", (text) =>
      parsePermissions(text, "--scope"),
    )
    .option(
      "--expires <duration>",
      "end it after this time, such as 30d (default: never)",
      (text) => parseLifetime(text, "--expires"),
    )
    .action(async ({ name, user, scope, expires }: CreateOptions) => {
      const { signal, output } = session;
      const client = await session.client();
      const made = await client.tokens.create(
        { name, user, scope, expiresInMs: expires },
        { signal },
      );
      const end = made.expiresAt === undefined ? "" : `, expires ${ago(made.expiresAt)}`;
      output.note(`Created ${made.id} for ${made.user.name}${end}. The token is shown only once:`);
      output.result(made, () => `${made.token}\n`);
    });
  examples(
    create,
    "tokens create --name laptop",
    "tokens create --name ci --scope UseSpaces,RunCommands --expires 30d",
    "tokens create --name first --user ann",
  );

  const list = tokens
    .command("list")
    .description("List your tokens, or those of a user.")
    .option("--user <user>", "whose (default: your own)")
    .action(async ({ user }: { user?: string }) => {
      const client = await session.client();
      const listed = await client.tokens.list({ user }, { signal: session.signal });
      const { items } = listed;
      if (items.length === 0) session.output.note("There are no tokens.");
      session.output.result(listed, () =>
        items.length === 0
          ? ""
          : table(
              ["ID", "NAME", "STATE", "LAST USED", "SCOPE"],
              items.map((token) => [
                token.id,
                token.name,
                stateOf(token),
                token.lastUsedAt === undefined ? "never" : ago(token.lastUsedAt),
                token.scope === undefined ? "all" : token.scope.join(",") || "nothing",
              ]),
              (title) => session.output.style("stdout", "bold", title),
            ),
      );
    });
  examples(list, "tokens list", "tokens list --user ann --json");

  const revoke = tokens
    .command("revoke")
    .description("Revoke tokens, and all that were made with them; what they do ends.")
    .argument("<token...>", "ids")
    .addOption(new Option("-y, --yes").hideHelp())
    .action(async (ids: string[]) => {
      const { signal, output } = session;
      const client = await session.client();
      for (const token of ids) {
        await client.tokens.revoke({ token }, { signal });
        output.note(`Revoked ${token}.`);
      }
      if (output.isJson) output.json({ items: ids.map((token) => ({ token, revoked: true })) });
    });
  examples(revoke, "tokens revoke tok_06dq3k2m8v0123456789");
}

function stateOf({ revokedAt, expiresAt }: Token): string {
  if (revokedAt !== undefined) return "revoked";
  if (expiresAt === undefined) return "valid";
  return Date.parse(expiresAt) <= Date.now() ? "expired" : `expires ${ago(expiresAt)}`;
}
