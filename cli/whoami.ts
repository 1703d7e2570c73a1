/** `spaces whoami`: who commands are run as, and what they may do. */
import type { Command } from "commander";
import { examples } from "./help.js";
import type { Session } from "./session.js";
import { ago, details } from "./text.js";

export function defineWhoami(program: Command, session: Session): void {
  const command = program
    .command("whoami")
    .summary("show who you are")
    .description("Show who commands are run as, and what that user may do.")
    .action(async () => {
      const client = await session.client();
      const me = await client.system.whoami({}, { signal: session.signal });
      const { token } = me;
      session.output.result(me, () =>
        details(
          [
            ["name", me.name],
            ["id", me.id],
            ["roles", me.roles.join(", ")],
            ["permissions", me.permissions.join(", ") || "none"],
            ["token", token && `${token.name} (${token.id})`],
            ["expires", token?.expiresAt && `${ago(token.expiresAt)} (${token.expiresAt})`],
          ],
          (label) => session.output.style("stdout", "bold", label),
        ),
      );
    });
  examples(command, "whoami", "whoami --json");
}
