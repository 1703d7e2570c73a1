/**
 * Makes a local image in which apt works without a network: programs of this machine, and a
 * repository of files that holds two versions of a tiny package. For the tests of updates.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { copyProgram, importTree } from "./docker-image.js";

/** The package that the repository has in these versions. */
export const APT_PACKAGE = { name: "spaces-tiny", old: "1.0", new: "2.0" } as const;

const run = promisify(execFile);

/** What apt and dpkg run, and what tests run beside. */
const PROGRAMS =
  "apt-get bash cat cp diff dpkg dpkg-deb dpkg-query dpkg-split echo id ldconfig ls mkdir rm sh sleep start-stop-daemon tar touch true".split(
    " ",
  );
const METHODS = ["copy", "file", "store"];

/** An image under a name of its own; disposing removes it. */
export interface AptImage extends AsyncDisposable {
  readonly name: string;
}

/** @throws Error on a machine without apt and dpkg */
export async function makeAptImage(docker: Docker = new Docker()): Promise<AptImage> {
  const root = await mkdtemp(join(tmpdir(), "spaces-apt-image-"));
  try {
    for (const program of PROGRAMS) await copyProgram(root, program);
    for (const method of METHODS) {
      await copyProgram(root, `/usr/lib/apt/methods/${method}`);
    }
    await fillSystem(root);
    await fillRepository(join(root, "repository"));
    const id = await importTree(docker, root);
    const tag = id.slice("sha256:".length, "sha256:".length + 12);
    await docker.getImage(id).tag({ repo: "spaces-test-apt", tag });
    const name = `spaces-test-apt:${tag}`;
    return {
      name,
      [Symbol.asyncDispose]: async () => {
        await docker.getImage(name).remove({ force: true });
      },
    };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function fillSystem(root: string): Promise<void> {
  const directories = [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "etc/apt/trusted.gpg.d",
    "etc/dpkg/dpkg.cfg.d",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/lib/dpkg/triggers",
    "var/log/apt",
    "tmp",
    "root",
    "proc",
    "sys",
    "dev",
    "usr/bin",
  ];
  for (const directory of directories) await mkdir(join(root, directory), { recursive: true });
  await chmod(join(root, "tmp"), 0o1777);
  await cp("/usr/share/dpkg", join(root, "usr/share/dpkg"), { recursive: true });
  await writeFile(join(root, "var/lib/dpkg/status"), "");
  await writeFile(join(root, "var/lib/dpkg/available"), "");
  await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  await writeFile(join(root, "etc/group"), "root:x:0:\n");
  await writeFile(
    join(root, "etc/apt/apt.conf"),
    'APT::Sandbox::User "root";\nDir::Bin::dpkg "/bin/dpkg";\n',
  );
  await writeFile(join(root, "etc/apt/sources.list"), "deb [trusted=yes] file:/repository ./\n");
}

async function fillRepository(repository: string): Promise<void> {
  await mkdir(repository, { recursive: true });
  const entries: string[] = [];
  for (const version of [APT_PACKAGE.old, APT_PACKAGE.new]) {
    entries.push(await makePackage(repository, version));
  }
  const packages = `${entries.join("\n")}\n`;
  await writeFile(join(repository, "Packages"), packages);
  const hash = createHash("sha256").update(packages).digest("hex");
  await writeFile(
    join(repository, "Release"),
    `Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n ${hash} ${Buffer.byteLength(packages)} Packages\n`,
  );
}

/** Makes a package that has a program printing its version. @returns its entry in the index */
async function makePackage(repository: string, version: string): Promise<string> {
  const { name } = APT_PACKAGE;
  const { stdout: architecture } = await run("dpkg", ["--print-architecture"]);
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${architecture.trim()}`,
    "Maintainer: Nobody <nobody@example.org>",
    "Description: A package for tests",
    "",
  ].join("\n");
  const tree = await mkdtemp(join(tmpdir(), "spaces-deb-"));
  try {
    await chmod(tree, 0o755);
    for (const directory of ["DEBIAN", "usr/bin"]) {
      await mkdir(join(tree, directory), { recursive: true, mode: 0o755 });
    }
    await writeFile(join(tree, "DEBIAN/control"), control, { mode: 0o644 });
    await writeFile(join(tree, "usr/bin", name), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
    const file = `${name}_${version}.deb`;
    const path = join(repository, file);
    await run("dpkg-deb", ["--root-owner-group", "-Zgzip", "--build", tree, path]);
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    return `${control}Filename: ./${file}\nSize: ${(await stat(path)).size}\nSHA256: ${sha256}\n`;
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}
