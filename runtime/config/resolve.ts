/**
 * Brings all configuration together: flag before environment before project file before user file.
 * The choice of the binding is made from it, and `spaces config` shows it.
 */
import { SpacesError } from "../contract/errors.js";
import { userFilePath } from "./paths.js";
import { findProjectFile } from "./project-file.js";
import type { Profile, ProjectSettings, UserSettings } from "./schema.js";

/** Where a value comes from. */
export interface Origin {
  readonly kind: "flag" | "env" | "project" | "user" | "default";
  /** The flag, variable or file. */
  readonly where: string;
}

export interface Setting<T extends string> {
  readonly value: T;
  readonly origin: Origin;
}

export interface ConfigOptions {
  readonly url?: string | undefined;
  readonly profile?: string | undefined;
  readonly binding?: "auto" | "local" | "remote" | undefined;
  readonly driver?: string | undefined;
  /** Where the search for the project's file begins; the current directory when absent. */
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

export interface Config {
  readonly url: Setting<string> | undefined;
  readonly profile: Setting<string> | undefined;
  readonly binding: Setting<"auto" | "local" | "remote">;
  readonly driver: Setting<string> | undefined;
  /** The project's file that decides on the URL, by itself or by naming a profile of the user's. */
  readonly urlChosenBy: string | undefined;
  /** The token that stands beside the URL in the user's own file. */
  readonly profileToken: Setting<string> | undefined;
}

/** The files that were read. */
interface Files {
  readonly user: UserSettings;
  readonly userPath: string;
  readonly project: ProjectSettings;
  readonly projectPath: string;
}

/**
 * Resolves the configuration.
 * @throws SpacesError `INVALID_INPUT` for a mistake in a file, with its place, for a value that
 *   cannot be one, and for a profile that is not there
 */
export async function resolveConfig(options: ConfigOptions = {}): Promise<Config> {
  const env = options.env ?? process.env;
  const files = await readFiles(env, options.cwd ?? process.cwd());
  const { user, project } = files;
  const profile = first(
    flag("--profile", options.profile),
    variable(env, "SPACES_PROFILE"),
    inProject(files, project.profile),
    inUser(files, user.profile),
  );
  const own = profileOf(files, profile);
  const ranked = profile?.origin.kind;
  // A profile counts where the one who names it does: one that a flag names is before SPACES_URL.
  const at = (kind: Origin["kind"], value: string | undefined): Setting<string> | undefined =>
    ranked === kind && profile !== undefined && value !== undefined
      ? { value, origin: { kind: "user", where: `profile ${profile.value} in ${files.userPath}` } }
      : undefined;
  const pick = (key: "url" | "driver", given: Setting<string> | undefined) =>
    first(
      given,
      at("flag", own?.[key]),
      variable(env, `SPACES_${key.toUpperCase()}`),
      at("env", own?.[key]),
      inProject(files, project[key]),
      at("project", own?.[key]),
      at("user", own?.[key]),
      inUser(files, user[key]),
    );
  const url = pick("url", flag("--url", options.url));
  return {
    url: url === undefined ? undefined : await normalized(url),
    profile,
    binding: bindingOf(options, env, files, own),
    driver: pick("driver", flag("--driver", options.driver)),
    urlChosenBy:
      url !== undefined && isChosenByProject(url, profile, own) ? files.projectPath : undefined,
    profileToken: tokenBeside(files, own, profile, url),
  };
}

function bindingOf(
  { binding }: ConfigOptions,
  env: NodeJS.ProcessEnv,
  files: Files,
  own: Profile | undefined,
): Config["binding"] {
  const given = binding === "auto" ? undefined : binding;
  const found = first(
    flag("--binding", given),
    variable(env, "SPACES_BINDING"),
    inProject(files, files.project.binding),
    inUser(files, own?.binding),
    inUser(files, files.user.binding),
  );
  if (found === undefined) return { value: "auto", origin: { kind: "default", where: "default" } };
  const { value, origin } = found;
  if (value === "auto" || value === "local" || value === "remote") return { value, origin };
  throw new SpacesError("INVALID_INPUT", `${origin.where} cannot be "${value.slice(0, 80)}".`, {
    suggestion: "Give auto, local or remote.",
  });
}

function isChosenByProject(
  { origin }: Setting<string>,
  profile: Setting<string> | undefined,
  own: Profile | undefined,
): boolean {
  if (origin.kind === "project") return true;
  return origin.kind === "user" && profile?.origin.kind === "project" && own?.url !== undefined;
}

/** A token of the user's file is for the URL that stands beside it and for no other. */
function tokenBeside(
  files: Files,
  own: Profile | undefined,
  profile: Setting<string> | undefined,
  url: Setting<string> | undefined,
): Setting<string> | undefined {
  if (url === undefined || url.origin.kind !== "user") return undefined;
  if (own?.url === url.value && own.token !== undefined) {
    const where = `profile ${profile?.value} in ${files.userPath}`;
    return { value: own.token, origin: { kind: "user", where } };
  }
  return files.user.url === url.value ? inUser(files, files.user.token) : undefined;
}

async function readFiles(env: NodeJS.ProcessEnv, cwd: string): Promise<Files> {
  const userPath = userFilePath(env);
  const projectPath = await findProjectFile(cwd);
  const { existsSync } = await import("node:fs");
  if (projectPath === undefined && !existsSync(userPath)) {
    // The reader of YAML is loaded only where there is something to read.
    return { user: {}, userPath, project: {}, projectPath: "" };
  }
  const [{ readYamlFile }, { projectFileSchema, userFileSchema }] = await Promise.all([
    import("./yaml-file.js"),
    import("./schema.js"),
  ]);
  const [user, project] = await Promise.all([
    readYamlFile(userPath, userFileSchema, { secret: true }),
    projectPath === undefined ? undefined : readYamlFile(projectPath, projectFileSchema),
  ]);
  return { user: user ?? {}, userPath, project: project ?? {}, projectPath: projectPath ?? "" };
}

function profileOf(files: Files, profile: Setting<string> | undefined): Profile | undefined {
  if (profile === undefined) return undefined;
  const { profiles = {} } = files.user;
  const found = Object.hasOwn(profiles, profile.value) ? profiles[profile.value] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(profiles);
  throw new SpacesError(
    "INVALID_INPUT",
    `There is no profile "${profile.value.slice(0, 80)}", which ${profile.origin.where} names.`,
    {
      suggestion:
        names.length === 0
          ? `Make one: spaces login <url> --profile ${profile.value.slice(0, 80)}.`
          : `There are: ${names.join(", ")}.`,
    },
  );
}

async function normalized({ value, origin }: Setting<string>): Promise<Setting<string>> {
  const { parseServerUrl } = await import("./server-address.js");
  return { value: parseServerUrl(value).url, origin };
}

function first(...found: (Setting<string> | undefined)[]): Setting<string> | undefined {
  return found.find((setting) => setting !== undefined);
}

function flag(where: string, value: string | undefined): Setting<string> | undefined {
  return value === undefined ? undefined : { value, origin: { kind: "flag", where } };
}

/** An empty variable counts as absent. */
function variable(env: NodeJS.ProcessEnv, where: string): Setting<string> | undefined {
  const value = env[where];
  return value ? { value, origin: { kind: "env", where } } : undefined;
}

function inProject(files: Files, value: string | undefined): Setting<string> | undefined {
  return value === undefined
    ? undefined
    : { value, origin: { kind: "project", where: files.projectPath } };
}

function inUser(files: Files, value: string | undefined): Setting<string> | undefined {
  return value === undefined
    ? undefined
    : { value, origin: { kind: "user", where: files.userPath } };
}
