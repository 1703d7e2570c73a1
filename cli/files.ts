/** `spaces files ls|cat|put|get|rm|mv|cp|mkdir|stat|archive|extract`: the files of a space, whether it runs or not. */
import type { Command } from "commander";
import { archiveFiles, extractFiles } from "./files-archive.js";
import { changePlace, makeDirectories, removeFiles } from "./files-change.js";
import { listFiles, statFile } from "./files-list.js";
import { catFile, getFiles, putFiles } from "./files-transfer.js";
import { examples } from "./help.js";
import { parseCount, parseOffset } from "./quantities.js";
import type { Session } from "./session.js";

export function defineFiles(program: Command, session: Session): void {
  const files = program
    .command("files")
    .summary("read and write the files of spaces")
    .description(
      "Paths are absolute below /workspace, or relative to it. The space need not be running.",
    );
  defineReading(files, session);
  defineTransfers(files, session);
  defineChanges(files, session);
  defineArchives(files, session);
}

function defineReading(files: Command, session: Session): void {
  const list = files
    .command("ls")
    .alias("list")
    .summary("list a directory")
    .description("List a directory, ordered by path; directories end with a slash.")
    .argument("<space>", "name or id")
    .argument("[path]", "directory or file (default: the workspace)")
    .option("-R, --recursive", "also what is in the directories below; symlinks are not entered")
    .option("--glob <pattern>", "only paths below the directory that match, such as 'src/*.ts'")
    .option("-l, --long", "with mode, size, time and where symlinks point to")
    .option("--limit <count>", "at most this many", (text) => parseCount(text, "--limit"))
    .action((space: string, path: string | undefined, options) =>
      listFiles(session, space, path, options),
    );
  examples(list, "files ls dev", "files ls dev src -R --glob '**/*.ts' --json");

  const stat = files
    .command("stat")
    .summary("describe a file")
    .description("Describe a file, directory or symlink; a symlink is not followed.")
    .argument("<space>", "name or id")
    .argument("<path>", "path in the space")
    .option("--hash", "hash the content of a file (SHA-256)")
    .action((space: string, path: string, { hash }: { hash?: boolean }) =>
      statFile(session, space, path, hash),
    );
  examples(stat, "files stat dev app.tar --hash");

  const cat = files
    .command("cat")
    .summary("print a file")
    .description("Write the bytes of a file to standard output.")
    .argument("<space>", "name or id")
    .argument("<path>", "path in the space")
    .option("--offset <bytes>", "bytes to leave out at the start", bytesOf("--offset"))
    .option("--length <bytes>", "bytes to print at most", bytesOf("--length"))
    .action((space: string, path: string, options) => catFile(session, space, path, options));
  examples(cat, "files cat dev build.log", "files cat dev core.bin --offset 4096 --length 512");
}

function defineTransfers(files: Command, session: Session): void {
  const put = files
    .command("put")
    .summary("copy a file of this machine into a space")
    .description(
      "Copy a file, or with -r a directory, into a space. A path that is a directory takes it under its own name. Each file is written in one step, and only when its SHA-256 is right.",
    )
    .argument("<space>", "name or id")
    .argument("<local>", "file of this machine; - for standard input")
    .argument("[path]", "path in the space (default: the same name in the workspace)")
    .option("-r, --recursive", "copy a directory with all that is in it; symlinks are left out")
    .option("--no-overwrite", "refuse to replace a file that exists")
    .action((space: string, local: string, path: string | undefined, options) =>
      putFiles(session, space, local, path, options),
    );
  examples(
    put,
    "files put dev app.tar",
    "files put dev ./src code -r",
    "files put dev - notes.txt",
  );

  const get = files
    .command("get")
    .summary("copy a file of a space to this machine")
    .description(
      "Copy a file, or with -r a directory, out of a space. A directory takes it under its own name. Each file is written in one step, and only when its SHA-256 is right.",
    )
    .argument("<space>", "name or id")
    .argument("<path>", "path in the space")
    .argument("[local]", "file or directory of this machine; - for standard output", ".")
    .option("-r, --recursive", "copy a directory with all that is in it; symlinks are left out")
    .option("--no-overwrite", "refuse to replace a file that exists")
    .action((space: string, path: string, local: string, options) =>
      getFiles(session, space, path, local, options),
    );
  examples(get, "files get dev report.pdf", "files get dev dist ./out -r", "files get dev log -");
}

function defineChanges(files: Command, session: Session): void {
  const mkdir = files
    .command("mkdir")
    .summary("make directories")
    .description("Make directories in a space.")
    .argument("<space>", "name or id")
    .argument("<path...>", "paths in the space")
    .option("-p, --parents", "make those above too, and take one that exists")
    .action((space: string, paths: string[], { parents }: { parents?: boolean }) =>
      makeDirectories(session, space, paths, parents),
    );
  examples(mkdir, "files mkdir dev data/raw -p");

  const move = files
    .command("mv")
    .alias("move")
    .summary("move or rename within a space")
    .description("Move or rename a file or directory. A directory takes it under its own name.")
    .argument("<space>", "name or id")
    .argument("<from>", "path of what is moved")
    .argument("<to>", "its new path, or a directory")
    .option("-f, --force", "replace a file that is there")
    .action((space: string, from: string, to: string, { force }: { force?: boolean }) =>
      changePlace(session, "move", { space, from, to, overwrite: force }),
    );
  examples(move, "files mv dev draft.txt final.txt");

  const copy = files
    .command("cp")
    .alias("copy")
    .summary("copy within a space")
    .description("Copy a file, or with -r a directory. A directory takes it under its own name.")
    .argument("<space>", "name or id")
    .argument("<from>", "path of what is copied")
    .argument("<to>", "path of the copy, or a directory")
    .option("-r, --recursive", "copy a directory with all that is in it")
    .option("-f, --force", "replace files that are there")
    .action(
      (
        space: string,
        from: string,
        to: string,
        { recursive, force }: { recursive?: boolean; force?: boolean },
      ) => changePlace(session, "copy", { space, from, to, recursive, overwrite: force }),
    );
  examples(copy, "files cp dev src backup -r");

  const remove = files
    .command("rm")
    .alias("remove")
    .summary("remove files")
    .description("Remove files, directories and symlinks; what a symlink points to stays.")
    .argument("<space>", "name or id")
    .argument("<path...>", "paths in the space")
    .option("-r, --recursive", "remove directories with all that is in them")
    .option("-f, --force", "be content where there is nothing to remove")
    .option("--dry-run", "show what would be removed, and remove nothing")
    // Nothing is asked for what is named explicitly; scripts that say yes anyway go on working.
    .addOption(files.createOption("-y, --yes").hideHelp())
    .action((space: string, paths: string[], options) =>
      removeFiles(session, space, paths, options),
    );
  examples(remove, "files rm dev old.log", "files rm dev dist -r --dry-run");
}

function defineArchives(files: Command, session: Session): void {
  const archive = files
    .command("archive")
    .summary("write a directory into a tar archive in a space")
    .description(
      "Write a directory of a space, or its whole workspace, into a gzipped tar archive in a space, with modes, times and symlinks. A running space is archived as it is at the moment; files that change meanwhile are told of.",
    )
    .argument("<from>", "the directory as space or space:path")
    .argument("<to>", "the archive as space:path")
    .option("--exclude <glob...>", "leave out what matches, relative to the directory")
    .option("-f, --force", "replace an archive that is there")
    .action((from: string, to: string, options) => archiveFiles(session, from, to, options));
  examples(
    archive,
    "files archive dev backups:dev.tgz",
    "files archive dev:src dev:src.tgz --exclude node_modules '**/*.log'",
  );

  const extract = files
    .command("extract")
    .summary("write what a tar archive in a space holds into a directory")
    .description(
      "Write what a tar archive in a space, gzipped or not, holds into a directory of a space, or into its workspace. Nothing is written where the archive is not whole or there is no room for it; what is left out is told.",
    )
    .argument("<from>", "the archive as space:path")
    .argument("<to>", "the directory as space or space:path")
    .option("-f, --force", "replace files that are there")
    .option("--clean", "remove what is in the directory first")
    .action((from: string, to: string, options) => extractFiles(session, from, to, options));
  examples(extract, "files extract backups:dev.tgz dev --clean", "files extract dev:a.tgz dev:out");
}

function bytesOf(option: string): (text: string) => number {
  return (text) => parseOffset(text, option);
}
