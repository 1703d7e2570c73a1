/** `spaces version`. */
import type { Command } from "commander";
import { VERSION } from "../runtime/version.js";
import { examples } from "./help.js";
import type { Session } from "./session.js";

export function defineVersion(program: Command, session: Session): void {
  const command = program
    .command("version")
    .summary("print the version")
    .description("Print the version of spaces; with --json also that of Node and the platform.")
    .action(() => {
      const { platform, arch, versions } = process;
      session.output.result(
        { version: VERSION, node: versions.node, platform, arch },
        () => `spaces ${VERSION}\n`,
      );
    });
  examples(command, "version", "version --json");
}
