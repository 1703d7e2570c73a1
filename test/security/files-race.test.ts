/**
 * Files of a space while something swaps symlinks that lead out and real files for each other, from
 * within the space and on the host: nothing outside is read, listed, changed or made.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SpacesError } from "../../runtime/contract/errors.js";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { openTestClient, type TestClient } from "../support/client.js";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";

const SECRET = "MARKER-OF-THE-WORLD-OUTSIDE";
const thorough = process.env.CI !== undefined || process.env.SPACES_TEST_REQUIRE !== undefined;
const RACE_MS = thorough ? 10_000 : 2_000;
const SWAPPER = fileURLToPath(new URL("../support/swapper.mjs", import.meta.url));

/** The same swapping in the language that native spaces of tests have. */
const swapInside = (outside: string) => `
import os
def rename(a, b):
    try: os.rename(a, b)
    except OSError: pass
def link(name, target):
    try: os.symlink(target, name)
    except OSError: pass
while True:
    link("away-dir", ${JSON.stringify(outside)})
    link("away-file", ${JSON.stringify(join(outside, "secret"))})
    for _ in range(50):
        rename("dir", "real-dir"); rename("away-dir", "dir")
        rename("file", "real-file"); rename("away-file", "file")
        rename("dir", "away-dir"); rename("real-dir", "dir")
        rename("file", "away-file"); rename("real-file", "file")
`;

/** Writes wherever the swapper puts symlinks, and makes one of its own. */
async function hostileTar(): Promise<Buffer> {
  const tar = pack();
  for (const name of ["dir/secret", "dir/sub/secret", "dir/new", "file", "dir/a/b/c"]) {
    tar.entry({ name }, "inside");
  }
  tar.entry({ name: "dir/hard", type: "link", linkname: "dir/secret" });
  tar.entry({ name: "dir", type: "directory", mode: 0o777 });
  tar.finalize();
  return await buffer(tar as AsyncIterable<Buffer>);
}

/** What may be answered while things are swapped. */
const EXPECTED_CODES = new Set([
  "PATH_DENIED",
  "FILE_NOT_FOUND",
  "FILE_EXISTS",
  "WRONG_FILE_TYPE",
  "DIRECTORY_NOT_EMPTY",
  "CONFLICT",
]);

const docker = await dockerAvailability();
const bubblewrap = await bubblewrapAvailability();
const combinations = [
  { driver: "virtual", swapper: "on the host", usable: true },
  { driver: "bubblewrap", swapper: "on the host", usable: bubblewrap.usable },
  { driver: "bubblewrap", swapper: "in the space", usable: bubblewrap.usable },
  { driver: "docker", swapper: "on the host", usable: docker.usable },
  { driver: "docker", swapper: "in the space", usable: docker.usable },
].filter(({ usable }) => usable && process.platform === "linux");

describe.each(combinations)("with a swapper $swapper, on $driver", ({ driver, swapper }) => {
  let opened: TestClient;
  let outside: string;
  let space: string;
  /** Keeps archives, where nothing is swapped. */
  let vault: string;
  let swapping: ChildProcess | undefined;

  beforeAll(async () => {
    if (driver === "docker") process.env.SPACES_DEFAULT_IMAGE = await ensureTestImage();
    opened = await openTestClient(driver);
    outside = await mkdtemp(join(tmpdir(), "spaces-outside-"));
    await mkdir(join(outside, "sub"));
    for (const name of ["secret", "sub/secret"]) await writeFile(join(outside, name), SECRET);
    space = (await opened.client.spaces.create({ name: "raced" })).id;
    await opened.client.spaces.start({ space });
    vault = (await opened.client.spaces.create({ name: "vault" })).id;
    await opened.client.files.write({
      space: vault,
      path: "hostile.tar",
      content: (await hostileTar()).toString("base64"),
      encoding: "base64",
    });
    for (const path of ["dir/secret", "dir/sub/secret", "file"]) {
      await opened.client.files.write({ space, path, content: "inside" });
    }
    if (swapper === "in the space") {
      const args = ["-c", swapInside(outside)];
      await opened.client.processes.start({ space, command: "/usr/bin/python3", args });
    } else {
      const { workspace = "" } = await opened.client.spaces.get({ space });
      const child = spawn(process.execPath, [SWAPPER, workspace, outside], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      swapping = child;
      await once(child.stdout, "data");
    }
  });
  afterAll(async () => {
    if (swapping !== undefined) {
      // A swapper that died has raced with nothing.
      expect(swapping.exitCode).toBeNull();
      const gone = once(swapping, "exit");
      swapping.kill("SIGKILL");
      await gone;
    }
    await opened[Symbol.asyncDispose]();
    await rm(outside, { recursive: true, force: true });
  });

  it(
    "reads and changes nothing outside",
    async () => {
      const { files } = opened.client;
      const upload = (path: string) =>
        files.upload({
          params: { space },
          query: { path },
          body: new Blob(["uploaded"]).stream(),
        });
      const download = async (path: string) => {
        const { body } = await files.download({ space, path });
        let text = "";
        for await (const chunk of body) text += Buffer.from(chunk as Uint8Array).toString("latin1");
        return text;
      };
      const archive = async (path: string, name: string) => {
        const to = { space: vault, path: name };
        const made = await files.archive({ space, path, to, overwrite: true });
        const { content } = await files.read({ ...to, encoding: "base64" });
        expect(gunzipSync(Buffer.from(content, "base64")).toString("latin1")).not.toContain(SECRET);
        return made;
      };
      const extract = (path: string, clean = false) => {
        const from = { space: vault, path: "hostile.tar" };
        return files.extract({ space, path, from, overwrite: true, clean });
      };
      const content = "inside";
      const operations: (() => Promise<unknown>)[] = [
        () => files.read({ space, path: "dir/secret" }),
        () => files.read({ space, path: "dir/sub/secret" }),
        () => files.read({ space, path: "file" }),
        () => files.stat({ space, path: "dir/secret", hash: true }),
        () => files.list({ space, path: "dir", recursive: true }),
        () => files.list({ space, recursive: true }),
        () => download("dir/secret"),
        () => download("file"),
        () => files.write({ space, path: "dir/secret", content }),
        () => files.write({ space, path: "dir/sub/secret", content }),
        () => files.write({ space, path: "dir/new", content, overwrite: false }),
        () => files.write({ space, path: "dir/log", content, append: true }),
        () => files.write({ space, path: "file", content }),
        () => files.write({ space, path: "file", content, append: true }),
        () => upload("dir/uploaded"),
        () => upload("file"),
        () => files.mkdir({ space, path: "dir/a/b", parents: true }),
        () => files.copy({ space, from: "dir", to: "copied", recursive: true, overwrite: true }),
        () => files.copy({ space, from: "file", to: "copied-file", overwrite: true }),
        () => files.copy({ space, from: "copied", to: "dir/copied", recursive: true }),
        () => files.read({ space, path: "copied/secret" }),
        () => files.read({ space, path: "copied-file" }),
        () => archive(".", "all.tgz"),
        () => archive("dir", "dir.tgz"),
        () => extract("."),
        () => extract("dir"),
        () => extract("dir/sub", true),
        () => files.move({ space, from: "dir/new", to: "dir/moved", overwrite: true }),
        () => files.remove({ space, path: "dir/secret" }),
        () => files.remove({ space, path: "dir/a", recursive: true }),
        () => files.remove({ space, path: "dir/sub", recursive: true }),
        () => files.remove({ space, path: "dir/log" }),
        () => files.remove({ space, path: "copied", recursive: true }),
      ];
      const outcomes = new Map<string, number>();
      const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      const end = performance.now() + RACE_MS;
      const race = async (first: number): Promise<void> => {
        for (let next = first; performance.now() < end; next += 1) {
          try {
            const result = JSON.stringify(await operations[next % operations.length]?.());
            expect(result).not.toContain(SECRET);
            count("done");
          } catch (error) {
            if (!SpacesError.isInstance(error)) throw error;
            expect(EXPECTED_CODES, `${error.code}: ${error.message}`).toContain(error.code);
            expect(JSON.stringify(error.serialize())).not.toMatch(/MARKER|\/proc\/self|\/spaces\//);
            count(error.code);
          }
        }
      };
      await Promise.all([0, 7, 14, 21].map(race));
      expect((await readdir(outside, { recursive: true })).sort()).toEqual([
        "secret",
        "sub",
        "sub/secret",
      ]);
      for (const name of ["secret", "sub/secret"]) {
        expect(await readFile(join(outside, name), "utf8")).toBe(SECRET);
      }
      // Both sides of the race were met.
      expect(outcomes.get("done")).toBeGreaterThan(0);
      expect(outcomes.get("PATH_DENIED")).toBeGreaterThan(0);
    },
    RACE_MS + 60_000,
  );
});
