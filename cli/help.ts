/** Adds examples to the help of commands. */
import type { Command } from "commander";

/**
 * Adds examples below the help of a command.
 * @param lines each without the program's name
 */
export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText(
    "after",
    `\nExamples:\n${lines.map((line) => `  $ spaces ${line}`).join("\n")}`,
  );
}
