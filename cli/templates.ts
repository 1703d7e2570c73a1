/** `spaces templates list|show|apply|delete`: what spaces are made from. */
import { type Command, Option } from "commander";
import { examples } from "./help.js";
import { readFileOrStdin } from "./read-input.js";
import type { Session } from "./session.js";
import { table } from "./text.js";

const SOURCE_LIMIT = 1_048_576;

export function defineTemplates(program: Command, session: Session): void {
  const templates = program
    .command("templates")
    .summary("list, show, apply and delete templates")
    .description("Templates say what spaces are made from.");

  const list = templates
    .command("list")
    .description("List the templates.")
    .action(async () => {
      const client = await session.client();
      const listed = await client.templates.list({}, { signal: session.signal });
      session.output.result(listed, () =>
        table(
          ["NAME", "DRIVER", "IMAGE", "DESCRIPTION"],
          listed.items.map(({ name, spec, builtin, description }) => [
            name,
            spec.driver ?? "any",
            spec.image ?? "-",
            builtin ? `${description} (built in)` : description,
          ]),
          (title) => session.output.style("stdout", "bold", title),
        ),
      );
    });
  examples(list, "templates list");

  const show = templates
    .command("show")
    .description("Print a template as YAML.")
    .argument("<template>")
    .action(async (template: string) => {
      const client = await session.client();
      const found = await client.templates.get({ template }, { signal: session.signal });
      session.output.result(found, () => found.source.replace(/\n*$/, "\n"));
    });
  examples(show, "templates show default > mine.yaml");

  const apply = templates
    .command("apply")
    .description("Add or replace templates from a YAML file.")
    .requiredOption("-f, --file <file>", "the file, or - for standard input")
    .action(async ({ file }: { file: string }) => {
      const { signal, output } = session;
      const source = await readFileOrStdin(file, SOURCE_LIMIT, signal);
      const client = await session.client();
      const filename = file === "-" ? "stdin.yaml" : file;
      const applied = await client.templates.apply({ source, filename }, { signal });
      for (const { name, result } of applied.items) output.note(`Template ${name}: ${result}.`);
      if (output.isJson) output.json(applied);
    });
  examples(apply, "templates apply -f node.yaml");

  const remove = templates
    .command("delete")
    .description("Delete a template that no space uses.")
    .argument("<template>")
    .option("--dry-run", "show what would be deleted, and delete nothing")
    .addOption(new Option("-y, --yes").hideHelp())
    .action(async (template: string, { dryRun = false }: { dryRun?: boolean }) => {
      const { signal, output } = session;
      const client = await session.client();
      if (dryRun) await client.templates.get({ template }, { signal });
      else await client.templates.delete({ template }, { signal });
      output.note(dryRun ? `Would delete template ${template}.` : `Deleted template ${template}.`);
      if (output.isJson) output.json({ template, deleted: !dryRun });
    });
  examples(remove, "templates delete mine");
}
