import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { forgetToken, storedToken, storeToken } from "./credentials.js";
import { type ConfigOptions, resolveConfig } from "./resolve.js";
import { tokenFor } from "./token.js";

const HERE = "http://127.0.0.1:7700";

let root: string;
let project: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "spaces-config-"));
  project = join(root, "project");
  vi.stubEnv("XDG_CONFIG_HOME", join(root, "config"));
  for (const name of ["URL", "TOKEN", "TOKEN_FILE", "PROFILE", "BINDING", "DRIVER"]) {
    vi.stubEnv(`SPACES_${name}`, "");
  }
  await mkdir(join(project, "deep", "down"), { recursive: true });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

async function user(text: string, mode = 0o600): Promise<string> {
  const path = join(root, "config", "spaces", "config.yaml");
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

async function inProject(text: string, name = "spaces.config.yaml"): Promise<string> {
  const path = join(project, name);
  await writeFile(path, text);
  return path;
}

const resolve = (options: ConfigOptions = {}) =>
  resolveConfig({ cwd: join(project, "deep", "down"), ...options });

describe("configuration", () => {
  it("is empty where nothing is configured", async () => {
    expect(await resolve()).toMatchObject({
      url: undefined,
      driver: undefined,
      binding: { value: "auto", origin: { kind: "default" } },
    });
  });

  it("counts flags before variables before the project's file before the user's", async () => {
    const userFile = await user("url: http://user.example\n");
    expect((await resolve()).url).toEqual({
      value: "http://user.example",
      origin: { kind: "user", where: userFile },
    });
    const file = await inProject("url: http://project.example/\n");
    expect((await resolve()).url).toEqual({
      value: "http://project.example",
      origin: { kind: "project", where: file },
    });
    vi.stubEnv("SPACES_URL", "http://env.example");
    expect((await resolve()).url?.origin).toEqual({ kind: "env", where: "SPACES_URL" });
    expect((await resolve({ url: HERE })).url).toEqual({
      value: HERE,
      origin: { kind: "flag", where: "--url" },
    });
  });

  it("counts a profile where the one who names it counts", async () => {
    await user(
      "profile: home\nprofiles:\n  home: { url: http://home.example }\n  work: { url: http://work.example, driver: docker }\n",
    );
    expect((await resolve()).url?.value).toBe("http://home.example");
    expect(await resolve({ profile: "work" })).toMatchObject({
      url: { value: "http://work.example" },
      driver: { value: "docker" },
    });
    vi.stubEnv("SPACES_URL", HERE);
    expect((await resolve()).url?.value).toBe(HERE);
    expect((await resolve({ profile: "work" })).url?.value).toBe("http://work.example");
    await expect(resolve({ profile: "wrok" })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      suggestion: "There are: home, work.",
    });
  });

  it("finds each of the project files, in the nearest directory", async () => {
    await inProject("driver: docker\n", ".spacesrc");
    expect((await resolve()).driver?.value).toBe("docker");
    await inProject("driver: virtual\n", ".spacesrc.yaml");
    expect((await resolve()).driver?.value).toBe("virtual");
    await writeFile(join(project, "deep", "spaces.config.yaml"), "driver: bubblewrap\n");
    expect((await resolve()).driver?.value).toBe("bubblewrap");
  });

  it.each([
    ["url: [1]\n", /:1:6: url: /],
    ["# a\nurl: ftp://x\n", /:2:6: url: "ftp:\/\/x" is no URL of a server/],
    ["url: http://me:secret@x\n", /:1:6: url: .*no user and no password/],
    ["driver: a\n b: 2\n", /:\d:\d: Nested mappings/],
    ["binding: maybe\n", /:1:10: binding: /],
    ["driver: dockre\nbindng: local\n", /:2:1: bindng: is no setting/],
    ["- a\n", /:1:1: /],
  ])("names file, line and column of a mistake: %j", async (text, message) => {
    const path = await inProject(text);
    const error = await resolve().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "INVALID_INPUT", details: { file: path } });
    expect((error as Error).message.startsWith(`${path}:`)).toBe(true);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain("secret@");
  });

  it("guesses the setting that was meant", async () => {
    await inProject("bindng: local\n");
    await expect(resolve()).rejects.toMatchObject({ suggestion: "Did you mean binding?" });
    await inProject("{}\n");
    await user("profiles:\n  work: { ulr: http://x }\n");
    await expect(resolve()).rejects.toMatchObject({ suggestion: "Did you mean url?" });
  });

  it("refuses a token in a project's file, and shows none", async () => {
    await inProject(`url: ${HERE}\ntoken: spt_abc\n`);
    const error = await resolve().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "INVALID_INPUT" });
    expect((error as Error).message).toMatch(/:2:1: token: a token must not stand in this file/);
    expect((error as Error).message).not.toContain("spt_abc");
  });

  it.skipIf(process.platform === "win32")(
    "refuses a file with a token that others can read",
    async () => {
      const path = await user(`url: ${HERE}\ntoken: spt_abc\n`, 0o644);
      await expect(resolve()).rejects.toMatchObject({
        code: "INVALID_INPUT",
        suggestion: expect.stringContaining(`chmod 600 '${path}'`),
      });
      await chmod(path, 0o600);
      expect((await tokenFor(await resolve()))?.value).toBe("spt_abc");
    },
  );
});

describe("the token that is sent", () => {
  it("is the variable's, else that of its file, else the profile's, else the stored one", async () => {
    await storeToken(HERE, "spt_stored", "me");
    expect((await tokenFor(await resolve({ url: `${HERE}/v1/` })))?.value).toBe("spt_stored");
    await user(`profiles:\n  work: { url: ${HERE}, token: spt_profile }\n`);
    expect((await tokenFor(await resolve({ profile: "work" })))?.value).toBe("spt_profile");
    const file = join(root, "token");
    await writeFile(file, "spt_file\n");
    vi.stubEnv("SPACES_TOKEN_FILE", file);
    expect((await tokenFor(await resolve({ profile: "work" })))?.value).toBe("spt_file");
    vi.stubEnv("SPACES_TOKEN", "spt_env");
    await expect(tokenFor(await resolve({ url: HERE }))).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
    vi.stubEnv("SPACES_TOKEN_FILE", "");
    expect((await tokenFor(await resolve({ profile: "work" })))?.value).toBe("spt_env");
  });

  it("never goes to a server that a project's file names, unless it was stored for it", async () => {
    await inProject("url: http://evil.example\n");
    await user(`url: ${HERE}\ntoken: spt_user\n`);
    await storeToken(HERE, "spt_stored", "me");
    expect(await tokenFor(await resolve())).toBeUndefined();
    vi.stubEnv("SPACES_TOKEN", "spt_env");
    const refused = { code: "UNAUTHENTICATED", message: expect.stringContaining("SPACES_TOKEN") };
    await expect(tokenFor(await resolve())).rejects.toMatchObject(refused);
    await expect(tokenFor(await resolve(), "spt_given")).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    await storeToken("http://evil.example", "spt_for_it", "me");
    expect((await tokenFor(await resolve()))?.value).toBe("spt_for_it");
    expect((await tokenFor(await resolve({ url: "http://evil.example" })))?.value).toBe("spt_env");
  });

  it("is the profile's own where a project's file names the profile", async () => {
    await inProject("profile: work\n");
    await user("profiles:\n  work: { url: http://work.example }\n");
    vi.stubEnv("SPACES_TOKEN", "spt_for_another");
    await expect(tokenFor(await resolve())).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await storeToken("http://work.example", "spt_work", "me");
    expect((await tokenFor(await resolve()))?.value).toBe("spt_work");
    expect((await tokenFor(await resolve({ profile: "work" })))?.value).toBe("spt_for_another");
    await user("profiles:\n  work: { url: http://work.example, token: spt_beside }\n");
    expect((await tokenFor(await resolve()))?.value).toBe("spt_beside");
  });

  it("is not stored for a URL that only begins alike", async () => {
    await storeToken("http://a.example", "spt_a", "me");
    expect(await storedToken("http://a.example:8080")).toBeUndefined();
    expect(await storedToken("https://a.example")).toBeUndefined();
    expect(await storedToken("__proto__")).toBeUndefined();
  });
});

describe.skipIf(process.platform === "win32")("stored tokens", () => {
  it("are in a file and a directory that only their owner can read", async () => {
    await storeToken(HERE, "spt_a", "me");
    const path = join(root, "config", "spaces", "credentials.yaml");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
    await storeToken("http://other.example", "spt_b", "me");
    expect(await readFile(path, "utf8")).toContain("spt_a");
    expect(await forgetToken(HERE)).toBe(true);
    expect(await forgetToken(HERE)).toBe(false);
    expect(await readFile(path, "utf8")).not.toContain("spt_a");
    await chmod(path, 0o640);
    await expect(storedToken(HERE)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
