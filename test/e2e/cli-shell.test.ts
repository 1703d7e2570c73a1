import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { CliHome } from "../support/cli.js";
import { dockerAvailability } from "../support/docker.js";
import { ensureTestImage } from "../support/docker-image.js";
import { PtyProcess } from "./cli-pty.js";

const DRIVERS = [
  { driver: "bubblewrap", usable: (await bubblewrapAvailability()).usable },
  { driver: "docker", usable: (await dockerAvailability()).usable },
] as const;

interface Listed {
  readonly items: readonly { readonly id: string; readonly state: string }[];
}

describe.each(DRIVERS)("spaces in a terminal, on $driver", ({ driver, usable }) => {
  describe.skipIf(!usable)("usable here", () => {
    let cli: CliHome;
    let more: NodeJS.ProcessEnv;
    const open = new Set<PtyProcess>();

    const start = (...args: string[]): PtyProcess => {
      const started = new PtyProcess(args, { ...cli.env, ...more });
      open.add(started);
      return started;
    };
    /** A shell whose prompt is there, and cannot be confused with what is typed. */
    const shell = async (): Promise<PtyProcess> => {
      const started = start("shell", "box", "--shell", "sh", "-e", "PS1=ready> ");
      await started.sees(/ready> /);
      return started;
    };
    const processes = async () => (await cli.json<Listed>(["ps", "box"], { env: more })).items;

    beforeAll(async () => {
      cli = await CliHome.make();
      more = { SPACES_DRIVER: driver };
      if (driver === "docker") more.SPACES_DEFAULT_IMAGE = await ensureTestImage();
      await cli.json(["create", "box", "--start"], { env: more });
    });
    afterEach(() => {
      for (const started of open) started.kill();
      open.clear();
    });
    afterAll(async () => {
      await cli.json(["delete", "box", "--force"], { env: more });
      await cli[Symbol.asyncDispose]();
    });

    it("passes keys, the terminal's kind and the exit code of the shell", async () => {
      const terminal = await shell();
      terminal.type("echo $((6 * 7)) $TERM\r");
      await terminal.sees(/42 xterm/);
      terminal.type("exit 7\r");
      expect(await terminal.ended).toMatchObject({ code: 7, restored: true });
      expect(await processes()).toEqual([]);
    });

    it("brings the size over, at the start and when it changes", async () => {
      const terminal = await shell();
      terminal.type("stty size\r");
      await terminal.sees(/\b30 100\b/);
      terminal.resize(41, 137);
      // The signal comes when the size has arrived; until then the old one is shown.
      terminal.type("until stty size | grep '^41 137'; do :; done; echo don''e\r");
      await terminal.sees(/\b41 137\b[\s\S]*done/);
      terminal.type("exit\r");
      expect(await terminal.ended).toMatchObject({ code: 0, restored: true });
    });

    it("interrupts what runs in the foreground with Ctrl-C, and goes on", async () => {
      const terminal = await shell();
      // What is to be interrupted says itself that it is in front.
      terminal.type("sh -c 'echo begu\"\"n; exec sleep 100'\r");
      await terminal.sees(/begun/);
      terminal.type("\u0003");
      await terminal.sees(/ready> /);
      terminal.type("echo stil''l here; exit\r");
      await terminal.sees(/still here/);
      expect((await terminal.ended).restored).toBe(true);
    });

    it("leaves the shell running with Ctrl-P Ctrl-Q, and finds it again", async () => {
      const terminal = await shell();
      terminal.type("KEPT=yes\r");
      await terminal.sees(/ready> /);
      terminal.type("\u0010\u0011");
      const [, id = ""] = await terminal.sees(/spaces attach box ([0-9a-f]{12})/);
      expect(await terminal.ended).toMatchObject({ code: 0, restored: true });
      expect(await processes()).toMatchObject([{ state: "running" }]);
      const again = start("attach", "box", id);
      await again.sees(/ready> [\s\S]*ready> /);
      again.type("echo kept=$KEPT; exit 3\r");
      await again.sees(/kept=yes/);
      expect(await again.ended).toMatchObject({ code: 3, restored: true });
    });

    it("gives the terminal back when the space is stopped meanwhile", async () => {
      const terminal = await shell();
      await cli.json(["restart", "box"], { env: more });
      const end = await terminal.ended;
      expect(end.restored).toBe(true);
      expect(end.code).not.toBe(0);
    });

    it("runs a command in a terminal with exec -it", async () => {
      const terminal = start(
        "exec",
        "-it",
        "box",
        "-c",
        'test -t 0 && test -t 1 && read x && echo "<$x>"',
      );
      terminal.type("typed\r");
      await terminal.sees(/<typed>/);
      expect(await terminal.ended).toMatchObject({ code: 0, restored: true });
    });
  });
});
