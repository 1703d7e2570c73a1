/** `spaces fields get|set|list`: the named values of a space. */
import type { Command } from "commander";
import { examples } from "./help.js";
import { readStdin } from "./read-input.js";
import type { Session } from "./session.js";
import { table } from "./text.js";

const VALUE_LIMIT = 262_144;

export function defineFields(program: Command, session: Session): void {
  const fields = program
    .command("fields")
    .summary("get, set and list the fields of a space")
    .description("Fields are named values of a space; its template defines them.");

  const get = fields
    .command("get")
    .description("Print the value of a field, in clear.")
    .argument("<space>", "name or id")
    .argument("<field>")
    .action(async (space: string, field: string) => {
      const client = await session.client();
      const got = await client.fields.get({ space, field }, { signal: session.signal });
      session.output.result(got, () => `${got.value}\n`);
    });
  examples(get, "fields get dev branch");

  const set = fields
    .command("set")
    .description("Set the value of a field.")
    .argument("<space>", "name or id")
    .argument("<field>")
    .argument("<value>", "the value, or - to read it from standard input")
    .action(async (space: string, field: string, given: string) => {
      const { signal, output } = session;
      const value =
        given === "-" ? (await readStdin(VALUE_LIMIT, signal)).replace(/\r?\n$/, "") : given;
      const client = await session.client();
      await client.fields.set({ space, field, value }, { signal });
      if (output.isJson) output.json({});
      else output.note(`Set ${field} of ${space}.`);
    });
  examples(set, "fields set dev branch main", "fields set dev token - < token.txt");

  const list = fields
    .command("list")
    .description("List the fields of a space; secret values show as ***.")
    .argument("<space>", "name or id")
    .action(async (space: string) => {
      const client = await session.client();
      const listed = await client.fields.list({ space }, { signal: session.signal });
      const { items } = listed;
      if (items.length === 0) session.output.note(`The template of ${space} defines no fields.`);
      session.output.result(listed, () =>
        items.length === 0
          ? ""
          : table(
              ["NAME", "VALUE", "DESCRIPTION"],
              items.map((field) => [field.name, field.value, field.description]),
              (title) => session.output.style("stdout", "bold", title),
            ),
      );
    });
  examples(list, "fields list dev");
}
