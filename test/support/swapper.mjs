/**
 * Swaps a symlink and a real thing for each other as fast as it can, until it is killed. Run by the
 * tests of races as a process of its own: `swapper.mjs <directory> <outside>`.
 */
import { renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const [directory, outside] = process.argv.slice(2);
if (directory === undefined || outside === undefined)
  throw new Error("usage: <directory> <outside>");

/** Renames what may be away at the moment: the operations under test remove and replace it. */
function tryRename(from, to) {
  try {
    renameSync(join(directory, from), join(directory, to));
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR", "EISDIR", "EINVAL"].includes(error.code))
      throw error;
  }
}

function relink(name, target) {
  rmSync(join(directory, name), { force: true, recursive: true });
  symlinkSync(target, join(directory, name));
}

process.stdout.write("ready\n");
for (let round = 0; ; round++) {
  if (round % 50 === 0) {
    try {
      relink("away-dir", outside);
      relink("away-file", join(outside, "secret"));
    } catch (error) {
      if (!["EEXIST", "ENOENT", "ENOTEMPTY"].includes(error.code)) throw error;
    }
  }
  tryRename("dir", "real-dir");
  tryRename("away-dir", "dir");
  tryRename("file", "real-file");
  tryRename("away-file", "file");
  tryRename("dir", "away-dir");
  tryRename("real-dir", "dir");
  tryRename("file", "away-file");
  tryRename("real-file", "file");
}
