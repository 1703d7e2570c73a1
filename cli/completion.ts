/** `spaces completion` prints the completion script of a shell; the scripts ask `spaces __complete`. */
import { Argument, type Command } from "commander";
import { complete } from "./complete.js";
import { COMPLETION_SCRIPTS, type Shell } from "./completion-scripts.js";
import { examples } from "./help.js";
import { buildProgram } from "./program.js";
import type { Session } from "./session.js";

const SHELLS = Object.keys(COMPLETION_SCRIPTS) as Shell[];

export function defineCompletion(program: Command, session: Session): void {
  const command = program
    .command("completion")
    .summary("print the completion script of a shell")
    .description("Print a script that completes commands, options and names in your shell.")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .action((shell: Shell) => {
      const script = COMPLETION_SCRIPTS[shell];
      session.output.result({ shell, script }, () => script);
    });
  examples(
    command,
    "completion bash > ~/.local/share/bash-completion/completions/spaces",
    "completion zsh > ~/.zfunc/_spaces",
    "completion fish > ~/.config/fish/completions/spaces.fish",
    "completion pwsh >> $PROFILE",
  );

  program
    .command("__complete", { hidden: true })
    .argument("[words...]", "the command line without the program's name, up to the cursor")
    .option("--next", "the word to complete is an empty one behind these")
    .action(async (words: string[], { next = false }: { next?: boolean }) => {
      const tree = await buildProgram(session, []);
      const line = next || words.length === 0 ? [...words, ""] : words;
      const candidates = await complete(tree, line, () => session.client());
      session.output.data(candidates.map((candidate) => `${candidate}\n`).join(""));
    });
}
