/** Where configuration is kept. */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** The names under which a project may keep its settings, the first found counts. */
export const PROJECT_FILES = ["spaces.config.yaml", ".spacesrc.yaml", ".spacesrc"] as const;

/** `$XDG_CONFIG_HOME/spaces`, else `~/.config/spaces`. */
export function configDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const base = env.XDG_CONFIG_HOME;
  // The XDG specification has relative paths ignored.
  return join(base && isAbsolute(base) ? base : join(homedir(), ".config"), "spaces");
}

/** The user's settings and profiles. */
export function userFilePath(env: NodeJS.ProcessEnv = process.env): string {
  return join(configDirectory(env), "config.yaml");
}

/** The tokens that `spaces login` has stored. */
export function credentialsPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(configDirectory(env), "credentials.yaml");
}
