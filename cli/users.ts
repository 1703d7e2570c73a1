/** `spaces users list|create|show|update|delete`: who may use a server. */
import { type Command, Option } from "commander";
import type { User } from "../runtime/contract/users.js";
import { examples } from "./help.js";
import { parseNames } from "./permission-list.js";
import type { Session } from "./session.js";
import { ago, details, table } from "./text.js";

interface ChangeOptions {
  readonly roles?: string[];
  readonly disable?: boolean;
  readonly enable?: boolean;
}

export function defineUsers(program: Command, session: Session): void {
  const users = program
    .command("users")
    .summary("list, create, show, update and delete users")
    .description("Users of a server: each has spaces, scripts and tokens of its own.");

  const list = users
    .command("list")
    .description("List the users.")
    .action(async () => {
      const client = await session.client();
      const listed = await client.users.list({}, { signal: session.signal });
      session.output.result(listed, () =>
        table(
          ["NAME", "ROLES", "STATE", "CREATED"],
          listed.items.map((user) => [
            user.name,
            user.roles.join(",") || "-",
            user.disabled ? "disabled" : "enabled",
            ago(user.createdAt),
          ]),
          (title) => session.output.style("stdout", "bold", title),
        ),
      );
    });
  examples(list, "users list");

  const create = users
    .command("create")
    .description("Create a user and print its id. It can do nothing until it has a token.")
    .argument("<name>", "lower-case letters, digits and hyphens")
    .option("--roles <roles>", "its roles, separated by commas (default: user)", parseNames)
    .action(async (name: string, { roles }: ChangeOptions) => {
      const client = await session.client();
      const user = await client.users.create({ name, roles }, { signal: session.signal });
      session.output.note(`Created user ${user.name}. Make a token: ${tokenHint(user)}`);
      session.output.result(user, () => `${user.id}\n`);
    });
  examples(create, "users create ann", "users create ops --roles user,auditor");

  const show = users
    .command("show")
    .description("Show a user.")
    .argument("<user>", "name or id")
    .action(async (user: string) => {
      const client = await session.client();
      const found = await client.users.get({ user }, { signal: session.signal });
      session.output.result(found, () =>
        details(
          [
            ["name", found.name],
            ["id", found.id],
            ["state", found.disabled ? "disabled" : "enabled"],
            ["roles", found.roles.join(", ")],
            ["permissions", found.permissions.join(", ")],
            ["created", `${ago(found.createdAt)} (${found.createdAt})`],
          ],
          (label) => session.output.style("stdout", "bold", label),
        ),
      );
    });
  examples(show, "users show ann");

  const update = users
    .command("update")
    .description("Replace the roles of a user, or disable or enable it.")
    .argument("<user>", "name or id")
    .option("--roles <roles>", "its new roles, separated by commas", parseNames)
    .addOption(new Option("--disable", "refuse its tokens").conflicts("enable"))
    .option("--enable", "take its tokens again")
    .action(async (user: string, { roles, disable, enable }: ChangeOptions) => {
      const { signal, output } = session;
      const client = await session.client();
      const disabled = disable === true ? true : enable === true ? false : undefined;
      const changed = await client.users.update({ user, roles, disabled }, { signal });
      output.note(`Updated user ${changed.name}.`);
      if (output.isJson) output.json(changed);
    });
  examples(update, "users update ann --roles user,auditor", "users update ann --disable");

  const remove = users
    .command("delete")
    .description("Delete a user who has no spaces, with its tokens and stored scripts.")
    .argument("<user>", "name or id")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action(async (user: string, { dryRun = false }: { dryRun?: boolean }) => {
      const { signal, output } = session;
      const client = await session.client();
      if (dryRun) await client.users.get({ user }, { signal });
      else await client.users.delete({ user }, { signal });
      output.note(dryRun ? `Would delete user ${user}.` : `Deleted user ${user}.`);
      if (output.isJson) output.json({ user, deleted: !dryRun });
    });
  examples(remove, "users delete ann");
}

function tokenHint(user: User): string {
  return `spaces tokens create --user ${user.name} --name first`;
}
