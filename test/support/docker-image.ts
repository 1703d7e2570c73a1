/**
 * Makes the small local image that Docker tests run in, from programs of this machine, so that no
 * registry is needed. Called by tests that need a real container.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, copyFile, cp, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import Docker from "dockerode";

/** The image that `ensureTestImage` makes. */
export const TEST_IMAGE = "spaces-test:latest";

/** Programs the image must have; tests rely on each of them. */
const PROGRAMS =
  "bash cat chmod cp curl cut date dd dirname echo env false grep head id ln ls mkdir mv nohup printf pwd rm sed seq setsid sh sleep sort stat stty tail timeout touch tr true uname wc".split(
    " ",
  );

/** Programs that are copied where this machine has them. */
const OPTIONAL_PROGRAMS = ["ps"];

const RECIPE = 3;
/** The system's own: another one on the PATH may be a script around it. */
const PYTHON = "/usr/bin/python3";
const RECIPE_LABEL = "spaces.test-image";
const run = promisify(execFile);

/**
 * Makes `spaces-test:latest` unless this recipe's image is there already. Safe to call from several
 * test processes at once.
 * @returns the image's name.
 */
export async function ensureTestImage(docker: Docker = new Docker()): Promise<string> {
  const recipe = createHash("sha256")
    .update(JSON.stringify([RECIPE, PROGRAMS, OPTIONAL_PROGRAMS]))
    .digest("hex")
    .slice(0, 16);
  if (await hasRecipe(docker, recipe)) return TEST_IMAGE;
  const root = await mkdtemp(join(tmpdir(), "spaces-test-image-"));
  try {
    await fill(root);
    const id = await importTree(docker, root, [`LABEL ${RECIPE_LABEL}=${recipe}`]);
    // Another process may have been faster: then its image is the one, and ours goes away.
    if (await hasRecipe(docker, recipe)) await docker.getImage(id).remove();
    else await docker.getImage(id).tag({ repo: "spaces-test", tag: "latest" });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return TEST_IMAGE;
}

/**
 * Imports a directory as an image without a name.
 * @param changes Dockerfile instructions, such as `ENV A=b`.
 * @returns the image's id.
 */
export async function importTree(
  docker: Docker,
  root: string,
  changes: readonly string[] = [],
): Promise<string> {
  const tar = spawn(
    "tar",
    ["--create", "--numeric-owner", "--owner=0", "--group=0", "--directory", root, "."],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const response = await docker.importImage(tar.stdout, { changes });
  const id = /sha256:[0-9a-f]{64}/.exec(await text(response))?.[0];
  if (id === undefined) throw new Error("the engine did not name the image it imported");
  return id;
}

/**
 * Copies a program and the shared libraries it needs into a tree that becomes an image.
 * @param name a program on this machine's PATH, which goes to `/bin`, or an absolute path.
 */
export async function copyProgram(root: string, name: string): Promise<void> {
  const isPath = name.startsWith("/");
  const source = isPath ? await realpath(name) : await findProgram(name);
  if (source === undefined) throw new Error(`this machine has no program "${name}"`);
  await copyInto(root, source, isPath ? name : `/bin/${name}`);
  for (const library of await librariesOf(source)) await copyInto(root, library, library);
}

async function hasRecipe(docker: Docker, recipe: string): Promise<boolean> {
  const images = await docker.listImages({
    filters: { reference: [TEST_IMAGE], label: [`${RECIPE_LABEL}=${recipe}`] },
  });
  return images.length > 0;
}

async function fill(root: string): Promise<void> {
  for (const name of PROGRAMS) await copyProgram(root, name);
  for (const name of OPTIONAL_PROGRAMS) {
    if ((await findProgram(name)) !== undefined) await copyProgram(root, name);
  }
  await copyPython(root);
  await mkdir(join(root, "etc"), { recursive: true });
  await writeFile(
    join(root, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000:user:/home/user:/bin/bash\n",
  );
  await writeFile(join(root, "etc/group"), "root:x:0:\nuser:x:1000:\n");
  for (const directory of ["root", "home/user", "tmp", "proc", "sys", "dev", "usr/bin"]) {
    await mkdir(join(root, directory), { recursive: true });
  }
  await chmod(join(root, "tmp"), 0o1777);
}

/** Copies Python with the part of its library that programs need. */
async function copyPython(root: string): Promise<void> {
  const program = await realpath(PYTHON);
  await copyInto(root, program, PYTHON);
  for (const library of await librariesOf(program)) await copyInto(root, library, library);
  const { stdout } = await run(PYTHON, [
    "-c",
    "import sysconfig; print(sysconfig.get_path('stdlib'))",
  ]);
  const library = stdout.trim();
  const unneeded = /\/(test|tests|__pycache__|idlelib|lib2to3|config-[^/]*|ensurepip)$/;
  await cp(library, join(root, library), {
    recursive: true,
    filter: (source) => !unneeded.test(source),
  });
}

async function findProgram(name: string): Promise<string | undefined> {
  const directories = [
    ...(process.env.PATH ?? "").split(delimiter),
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
  ];
  for (const directory of directories) {
    const path = await realpath(join(directory, name)).catch(() => undefined);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** Absolute paths of the libraries, as the program's loader will look for them. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run("ldd", [program]);
  return stdout.split("\n").flatMap((line) => {
    const path = /(?:=>\s+|^\s+)(\/\S+)\s+\(0x/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
}

async function copyInto(root: string, source: string, target: string): Promise<void> {
  const path = join(root, target);
  await mkdir(dirname(path), { recursive: true });
  await copyFile(source, path);
  await chmod(path, 0o755);
}

async function text(stream: NodeJS.ReadableStream | Readable): Promise<string> {
  let result = "";
  for await (const chunk of stream) result += String(chunk);
  return result;
}
