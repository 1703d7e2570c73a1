/** Scripts that work with the files of spaces, on every driver that this machine has. */
import { createHash } from "node:crypto";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome, drivers } from "../support/cli.js";

describe.each(await drivers())("files in scripts on $driver", ({ driver, available }) => {
  describe.skipIf(!available)("are the files of the space", () => {
    let cli: CliHome;
    let workspace: string;
    beforeAll(async () => {
      cli = await CliHome.make(driver);
      await cli.json(["create", "dev", "--start"]);
      workspace = (await cli.json<{ workspace: string }>(["show", "dev"])).workspace;
    });
    afterAll(() => cli[Symbol.asyncDispose]());

    it("which commands see, and whose changes scripts see, running or stopped", async () => {
      const lines = await cli.lines(
        `
        import files from "files";
        import space, { files as mine } from "space";
        import spaces from "spaces";
        files.write("dev", "in/a.txt", "from the script\\n");
        console.log(space.run("cat", { args: ["in/a.txt"] }).trim());
        space.run("echo from a command >> in/a.txt; mkdir -p in/sub; echo x > in/sub/b.txt");
        console.log(JSON.stringify(mine.read("in/a.txt")));
        console.log(mine.list("in", { recursive: true }).map((file) => file.path).join());
        spaces.stop("dev");
        const { size, mode, type } = mine.write("in/bytes", Uint8Array.of(0, 128, 255), { mode: 0o640 });
        console.log(size, mode.toString(8), type, mine.stat("in/bytes", { hash: true }).sha256.slice(0, 8));
        spaces.start("dev");
        console.log(space.exec("test -f in/bytes").exit_code, mine.read_bytes("in/bytes", { offset: 1 }).join());
        mine.copy("in", "out", { recursive: true });
        mine.move("out/a.txt", "out/c.txt");
        mine.delete("in", { recursive: true });
        console.log(mine.exists("in"), space.run("ls", { args: ["out"] }).trim().split("\\n").join());
        `,
        { flags: ["--space", "dev"] },
      );
      expect(lines).toEqual([
        "from the script",
        '"from the script\\nfrom a command\\n"',
        "/workspace/in/a.txt,/workspace/in/sub,/workspace/in/sub/b.txt",
        `3 640 file ${createHash("sha256")
          .update(Uint8Array.of(0, 128, 255))
          .digest("hex")
          .slice(0, 8)}`,
        "0 128,255",
        "false bytes,c.txt,sub",
      ]);
    });

    it("and no others: errors have codes that scripts can act on", async () => {
      await symlink("/etc/passwd", join(workspace, "escape"));
      await symlink("/", join(workspace, "root"));
      await writeFile(join(workspace, "latin1"), Buffer.from([0xe4]));
      const lines = await cli.lines(`
        import files from "files";
        import { read } from "files/async";
        const codes = [
          () => files.read("dev", "missing"),
          () => files.read("dev", "../../../etc/passwd"),
          () => files.read("dev", "/etc/passwd"),
          () => files.read("dev", "escape"),
          () => files.write("dev", "escape", "gotcha"),
          () => files.write("dev", "root/tmp/gotcha", "gotcha"),
          () => files.list("dev", "root"),
          () => files.read("dev", "."),
          () => files.read("dev", "latin1"),
          () => files.read("dev", "a\\0b"),
          () => files.read("nope", "a"),
          () => files.mkdir("dev", "a/b/c"),
          () => files.write("dev", "latin1", "", { overwrite: false }),
        ].map((call) => { try { call(); return "none"; } catch (e) { return e.code; } });
        console.log(codes.join("\\n"));
        await read("dev", "missing").catch((e) => console.log(e instanceof Error, e.code, e.suggestion));
      `);
      expect(lines).toEqual([
        "FILE_NOT_FOUND",
        "PATH_DENIED",
        "PATH_DENIED",
        "PATH_DENIED",
        "PATH_DENIED",
        "PATH_DENIED",
        "PATH_DENIED",
        "WRONG_FILE_TYPE",
        "INVALID_INPUT",
        "INVALID_INPUT",
        "SPACE_NOT_FOUND",
        "FILE_NOT_FOUND",
        "FILE_EXISTS",
        "true FILE_NOT_FOUND List the files of the space with `spaces files ls`.",
      ]);
      expect(await readFile("/etc/passwd", "utf8")).not.toContain("gotcha");
    });

    it("however large: in ranges, and not in one call", async () => {
      await writeFile(join(workspace, "large"), Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef"));
      const lines = await cli.lines(`
        import files, { read } from "files";
        try { read("dev", "large"); } catch (e) { console.log(e.code, /offset|range|length/.test(e.message + e.suggestion)); }
        const { size } = files.stat("dev", "large");
        let read_so_far = 0;
        for (let offset = 0; offset < size; offset += 4194304) {
          read_so_far += read("dev", "large", { offset, length: 4194304 }).length;
        }
        console.log(read_so_far === size, read("dev", "large", { offset: size - 3 }));
        const bytes = files.read_bytes("dev", "large", { length: 6291456 });
        console.log(bytes.length, String.fromCharCode(...bytes.slice(-4)));
        files.write("dev", "copy", bytes);
        files.append("dev", "copy", "end");
        console.log(files.stat("dev", "copy").size);
      `);
      expect(lines).toEqual(["LIMIT_EXCEEDED true", "true def", "6291456 cdef", "6291459"]);
    });
  });
});
