/** `spaces roles list|save|delete`: sets of permissions that users are given. */
import { type Command, Option } from "commander";
import type { Permission } from "../runtime/contract/permissions.js";
import { examples } from "./help.js";
import { parsePermissions } from "./permission-list.js";
import type { Session } from "./session.js";
import { table } from "./text.js";

interface SaveOptions {
  readonly permissions: Permission[];
  readonly description?: string;
}

export function defineRoles(program: Command, session: Session): void {
  const roles = program
    .command("roles")
    .summary("list, save and delete roles")
    .description("Roles are sets of permissions; a user may do what its roles allow together.");

  const list = roles
    .command("list")
    .description("List the roles.")
    .action(async () => {
      const client = await session.client();
      const listed = await client.roles.list({}, { signal: session.signal });
      session.output.result(listed, () =>
        table(
          ["NAME", "PERMISSIONS", "DESCRIPTION"],
          listed.items.map(({ name, permissions, description, builtin }) => [
            name,
            permissions.join(",") || "-",
            builtin ? `${description} (built in)` : description,
          ]),
          (title) => session.output.style("stdout", "bold", title),
        ),
      );
    });
  examples(list, "roles list");

  const save = roles
    .command("save")
    .description("Add a role, or replace what it allows: at once, for all who have it.")
    .argument("<role>", "lower-case letters, digits and hyphens")
    .requiredOption("--permissions <permissions>", "what it allows, separated by commas", (text) =>
      parsePermissions(text, "--permissions"),
    )
    .option("-d, --description <text>", "what it is for")
    .action(async (role: string, { permissions, description }: SaveOptions) => {
      const { signal, output } = session;
      const client = await session.client();
      const saved = await client.roles.save({ role, permissions, description }, { signal });
      output.note(`Saved role ${saved.name}.`);
      if (output.isJson) output.json(saved);
    });
  examples(save, "roles save auditor --permissions UseSpaces,ViewAudit");

  const remove = roles
    .command("delete")
    .description("Delete a role that nobody has.")
    .argument("<role>")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action(async (role: string, { dryRun = false }: { dryRun?: boolean }) => {
      const { signal, output } = session;
      const client = await session.client();
      if (!dryRun) await client.roles.delete({ role }, { signal });
      output.note(dryRun ? `Would delete role ${role}.` : `Deleted role ${role}.`);
      if (output.isJson) output.json({ role, deleted: !dryRun });
    });
  examples(remove, "roles delete auditor");
}
