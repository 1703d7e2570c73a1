/** `spaces config list|get|set|unset|path`: what is configured, and where it comes from. */
import type { Command } from "commander";
import { userFilePath } from "../runtime/config/paths.js";
import { type Config, resolveConfig, type Setting } from "../runtime/config/resolve.js";
import { tokenFor } from "../runtime/config/token.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { examples } from "./help.js";
import type { Session } from "./session.js";
import { table } from "./text.js";

const KEYS = ["url", "binding", "driver", "profile", "token"] as const;
type Key = (typeof KEYS)[number];

interface Item {
  readonly key: Key;
  readonly value: string;
  readonly origin: Setting<string>["origin"];
}

export function defineConfig(program: Command, session: Session): void {
  const config = program
    .command("config")
    .summary("show and change the configuration")
    .description(
      "A flag counts before the environment, that before the project's file (spaces.config.yaml, .spacesrc.yaml or .spacesrc, found upwards), that before your own file.",
    );

  const list = config
    .command("list")
    .alias("ls")
    .summary("list the settings that count here")
    .description("List the settings that count here. Tokens are not shown.")
    .option("--show-origin", "also where each comes from")
    .action(({ showOrigin = false }: { showOrigin?: boolean }) =>
      listSettings(session, showOrigin),
    );
  examples(list, "config list", "config list --show-origin", "config list --json");

  const get = config
    .command("get")
    .summary("print a setting")
    .description("Print a setting that counts here; exit 1 where it is not set.")
    .argument("<key>", KEYS.join(", "))
    .action(async (key: string) => {
      const item = (await settings(session)).find((candidate) => candidate.key === key);
      if (item === undefined) {
        checkKey(key);
        session.exitCode = 1;
      } else {
        session.output.result(item, () => `${item.value}\n`);
      }
    });
  examples(get, "config get url");

  const set = config
    .command("set")
    .summary("set a setting in your own file")
    .description("Set a setting in your own file, or one of a profile: profiles.<name>.url.")
    .argument("<key>", "url, binding, driver, profile or profiles.<name>.<key>")
    .argument("<value>", "its value")
    .action(async (key: string, value: string) => {
      const { changeUserFile } = await import("../runtime/config/user-file.js");
      await changeUserFile(key, value);
      session.output.note(`Set ${key} in ${userFilePath()}.`);
      if (session.output.isJson) session.output.json({ key, value });
    });
  examples(
    set,
    "config set driver docker",
    "config set profiles.work.url https://spaces.example.org",
  );

  const unset = config
    .command("unset")
    .summary("remove a setting from your own file")
    .description("Remove a setting, or a whole profile, from your own file.")
    .argument("<key>", "such as url or profiles.<name>")
    .action(async (key: string) => {
      const { changeUserFile } = await import("../runtime/config/user-file.js");
      await changeUserFile(key, undefined);
      session.output.note(`Removed ${key} from ${userFilePath()}.`);
      if (session.output.isJson) session.output.json({ key });
    });
  examples(unset, "config unset driver", "config unset profiles.work");

  const path = config
    .command("path")
    .summary("print the path of your own file")
    .description("Print the path of your own file, which may not exist yet.")
    .action(() => {
      const file = userFilePath();
      session.output.result({ path: file }, () => `${file}\n`);
    });
  examples(path, "config path");
}

async function listSettings(session: Session, showOrigin: boolean): Promise<void> {
  const items = await settings(session);
  session.output.result({ items }, () =>
    table(
      showOrigin ? ["KEY", "VALUE", "ORIGIN"] : ["KEY", "VALUE"],
      items.map(({ key, value, origin }) =>
        showOrigin ? [key, value, describe(origin)] : [key, value],
      ),
      (title) => session.output.style("stdout", "bold", title),
    ),
  );
}

async function settings({ globals }: Session): Promise<Item[]> {
  const { url, profile, binding } = globals;
  const config = await resolveConfig({ url, profile, binding });
  const token = await shownToken(config);
  const found = { ...config, token };
  return KEYS.flatMap((key) => {
    const setting = found[key];
    return setting === undefined ? [] : [{ key, value: setting.value, origin: setting.origin }];
  });
}

/** That there is a token, or why it is not sent; never the token. */
async function shownToken(config: Config): Promise<Setting<string> | undefined> {
  try {
    const token = await tokenFor(config);
    return token === undefined ? undefined : { value: "***", origin: token.origin };
  } catch (error) {
    if (!SpacesError.isInstance(error) || error.code !== "UNAUTHENTICATED") throw error;
    return { value: "(not sent)", origin: { kind: "env", where: error.message } };
  }
}

const KINDS = {
  flag: "flag",
  env: "environment",
  project: "project file",
  user: "user file",
  default: "default",
} as const;

function describe({ kind, where }: Item["origin"]): string {
  return kind === "default" ? KINDS[kind] : `${KINDS[kind]} ${where}`;
}

function checkKey(key: string): void {
  if ((KEYS as readonly string[]).includes(key)) return;
  throw new SpacesError("INVALID_INPUT", `"${key.slice(0, 80)}" is no setting.`, {
    suggestion: `Settings are ${KEYS.join(", ")}.`,
  });
}
