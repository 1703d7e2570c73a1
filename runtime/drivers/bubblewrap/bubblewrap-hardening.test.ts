/** Attempts to get out of a bubblewrap space; none may get anywhere. */
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../../test/support/bubblewrap.js";
import { processOf, waitForEnd } from "./host-process.js";
import { DriverProgram, RunningSpace, TestInstallation } from "./test-space.js";

const bubblewrap = await bubblewrapAvailability();
const isRoot = process.geteuid?.() === 0;
/** Not root, and nobody that a distribution knows. */
const ORDINARY_UID = 54_321;

/** Runs a shell script in a space. */
type Bash = (script: string) => Promise<{ exitCode: number; stdout: string; stderr: string }>;

/** The attempts that are the same whoever runs the driver; each gives what must not be. */
async function attack(bash: Bash, dataDir: string): Promise<string[]> {
  const failures: string[] = [];
  const expectOutput = async (what: string, script: string, wanted: string) => {
    const { stdout, stderr } = await bash(script);
    if (stdout.trim() !== wanted) failures.push(`${what}: ${stdout.trim()} ${stderr.trim()}`);
  };
  const zero = "0".repeat(16);
  await expectOutput("capabilities", "awk '/^Cap/ {print $2}' /proc/self/status | sort -u", zero);
  await expectOutput("privileges", "awk '/^NoNewPrivs/ {print $2}' /proc/self/status", "1");
  await expectOutput("ids", "id -u; id -g; id -G", "1000\n1000\n1000");
  await expectOutput(
    "the token",
    "tr '\\0' '\\n' < /proc/1/environ 2>/dev/null | grep -c TOKEN",
    "0",
  );
  await expectOutput("the agent's memory", "cat /proc/1/mem /proc/1/maps 2>&1 | head -c 0", "");
  await expectOutput(
    "the root",
    "touch /x /etc/x /usr/x /dev/x /.spaces/x /.spaces/guest 2>/dev/null; ls -d /x /etc/x /usr/x /dev/x /.spaces/x 2>/dev/null",
    "",
  );
  await expectOutput(
    "the host's directories",
    `ls -d /root /home /boot /srv /mnt /media /sys ${dataDir} /var/lib /var/log /run/* 2>/dev/null`,
    "",
  );
  await expectOutput(
    "the host's users",
    "cut -d: -f1 /etc/passwd | tr '\\n' ' '",
    "root user nobody",
  );
  await expectOutput("disks", "ls /dev | grep -E '^(sd|vd|nvme|mem|kmsg|fuse|kvm|loop|net)' ", "");
  await expectOutput(
    "the kernel's settings",
    "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger; do (echo x > $f) 2>/dev/null && echo wrote $f; done",
    "",
  );
  await expectOutput("processes", "ls -d /proc/[0-9]* | wc -l | awk '{print ($1 < 12)}'", "1");
  await expectOutput("mounts", "mount -t tmpfs none /workspace 2>/dev/null && echo mounted", "");
  await expectOutput("chroot", "chroot / true 2>/dev/null && echo done", "");
  await expectOutput("interfaces", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '", "lo");
  for (const flag of ["-U", "-Ur", "-m", "-n", "-p", "-Urm"]) {
    await expectOutput(`unshare ${flag}`, `unshare ${flag} true 2>/dev/null && echo made`, "");
  }
  await expectOutput("nsenter", "nsenter -t 1 -a true 2>/dev/null && echo entered", "");
  await expectOutput(
    "an open descriptor",
    "ls -l /proc/self/fd | grep -vE 'pipe|/proc|/dev/null|total|socket'",
    "",
  );
  await expectOutput(
    "keys, tracing and modules",
    `python3 -c '
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
calls = [248, 250, 321, 298, 323, 175, 425, 0x40000000 + 39]
if platform.machine() == "aarch64": calls = [217, 219, 280, 241, 282, 105, 425]
errors = set()
for call in calls:
    libc.syscall(ctypes.c_long(call), 0, 0, 0, 0, 0)
    errors.add(ctypes.get_errno())
print(errors)'`,
    "{1}",
  );
  await expectOutput(
    "setuid",
    "cp /usr/bin/id ./suid && chmod 4755 suid && ./suid -u; rm -f suid; su -c id root </dev/null 2>/dev/null",
    "1000",
  );
  return failures;
}

describe.skipIf(!bubblewrap.usable)("a bubblewrap space", () => {
  let installation: TestInstallation;
  let program: DriverProgram;
  let server: Server;
  let port = 0;

  beforeAll(async () => {
    program = await DriverProgram.make();
    server = createServer((socket) => socket.end("host\n"));
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await program[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    installation = await TestInstallation.make();
  });
  afterEach(async () => {
    await installation[Symbol.asyncDispose]();
  });

  it("has no capabilities, no nested namespaces and nothing of the host", async () => {
    const space = await installation.running();
    expect(await attack((script) => space.bash(script), installation.dataDir)).toEqual([]);
  });

  it("reaches no service of the host, on any of its addresses", async () => {
    const space = await installation.running();
    const addresses = Object.values(networkInterfaces())
      .flat()
      .flatMap((found) => (found?.family === "IPv4" ? [found.address] : []));
    expect(addresses).toContain("127.0.0.1");
    for (const address of addresses) {
      const tried = await space.bash(`exec 3<>/dev/tcp/${address}/${port} && cat <&3`);
      expect([address, tried.exitCode, tried.stdout]).toEqual([address, 1, ""]);
    }
    expect((await space.bash("getent hosts example.com")).exitCode).toBe(2);
  });

  it("reaches no abstract socket of the host", async () => {
    const name = `\0spaces-hardening-${process.pid}`;
    const abstract = createServer((socket) => socket.end("host\n"));
    await new Promise<void>((resolve) => abstract.listen(name, resolve));
    try {
      const space = await installation.running();
      const { stdout } = await space.bash("grep -c spaces-hardening /proc/net/unix");
      expect(stdout).toBe("0\n");
    } finally {
      await new Promise((resolve) => abstract.close(resolve));
    }
  });

  it("cannot signal processes outside", async () => {
    const space = await installation.running();
    const agent = await installation.agentPid(space.spec);
    const { stdout } = await space.bash(
      `for p in 1 ${process.pid} ${process.ppid} ${agent}; do kill -9 $p 2>/dev/null && [ $p != 1 ] && echo hit $p; done; echo done`,
    );
    expect(stdout).toBe("done\n");
    // All that it may signal at once: what is in the space, and not the agent.
    await expect(space.bash("kill -9 -1")).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    expect(processOf(process.pid)).toBeDefined();
    const after = await space.bash("echo alive");
    expect(after.stdout).toBe("alive\n");
  });

  it("finds nothing behind symlinks of the workspace", async () => {
    const space = await installation.space();
    const secret = join(installation.dataDir, "secret");
    await writeFile(secret, "secret");
    await symlink(secret, join(space.workspace, "file"));
    await symlink(installation.dataDir, join(space.workspace, "directory"));
    await symlink("../../..", join(space.workspace, "above"));
    await installation.driver.start(space);
    await installation.remember(space);
    const running = new RunningSpace(space, await installation.driver.connect(space));
    const { stdout } = await running.bash(
      "cat file directory/secret 2>/dev/null; ls directory/ 2>/dev/null; ls -i above | sort; echo; ls -i / | sort",
    );
    const [above, root] = stdout.split("\n\n");
    expect(`${above}\n`).toBe(root);
  });

  it("shares nothing with another space", async () => {
    const [one, other] = [await installation.running(), await installation.running()];
    await one.bash(
      "echo mine | tee /tmp/shared /dev/shm/shared > /run/shared; sleep 1000 & disown",
    );
    const seen = await other.bash(
      "cat /tmp/shared /dev/shm/shared /run/shared; pgrep sleep; ipcs -m | grep -c 0x",
    );
    expect(seen.stdout).toBe("0\n");
    const paths = await other.bash("ls -A /.spaces /.spaces/run 2>&1");
    expect(paths.stdout).not.toContain(
      (await installation.driver.endpoint(one.spec))?.socket ?? "?",
    );
  });

  it.skipIf(!isRoot)("has a user of the host of its own, who may nothing", async () => {
    const [one, other] = [await installation.running(), await installation.running()];
    const uidOf = async (space: RunningSpace) => {
      const pid = await installation.agentPid(space.spec);
      return /^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
    };
    const uids = [await uidOf(one), await uidOf(other)];
    expect(uids[0]).not.toBe(uids[1]);
    expect(uids).not.toContain("0");
    // Also one that gets out of its namespaces could put nothing in the place of its socket.
    const { stdout } = await one.bash(
      "cd /.spaces/run && { rm -f * ; mv * x; ln -s /etc/passwd y; chmod 777 .; touch z; } 2>/dev/null; ls /.spaces/run; echo end",
    );
    expect(stdout).toBe("end\n");
    expect(await one.bash("echo alive")).toMatchObject({ stdout: "alive\n" });
  });

  it("cannot kill or stop its agent, only ask it to end the space", async () => {
    const space = await installation.running();
    const tried = await space.bash("kill -STOP 1; kill -KILL 1; kill -HUP 1; echo here");
    expect(tried.stdout).toBe("here\n");
    expect(await space.bash("echo alive")).toMatchObject({ stdout: "alive\n" });
    const agent = processOf(await installation.agentPid(space.spec));
    if (agent === undefined) throw new Error("the agent does not run");
    const asking = await space.spawn(["sh", "-c", "kill -TERM 1; exec sleep 1000"]);
    asking.stdout.resume();
    asking.stderr.resume();
    await asking.exit.catch((error: unknown) => {
      expect(error).toMatchObject({ code: "DRIVER_FAILED" });
    });
    expect(await waitForEnd(agent, 10_000)).toBe(true);
    await installation.driver.start(space.spec);
    await installation.remember(space.spec);
    const again = new RunningSpace(space.spec, await installation.driver.connect(space.spec));
    expect(await again.bash("echo again")).toMatchObject({ stdout: "again\n" });
  });

  it.skipIf(!isRoot)("holds as well when an ordinary user runs the driver", async () => {
    const home = await program.home(ORDINARY_UID);
    const dataDir = join(home, "data");
    const id = "spc_ordinary";
    const space = { ...(await installation.space()), id, workspace: join(dataDir, "w") };
    // What the engine makes, as that user would.
    await mkdir(dataDir, { mode: 0o700 });
    await mkdir(space.workspace);
    await program.giveTo(ORDINARY_UID, dataDir, space.workspace);
    const request = { installationId: installation.id, dataDir, space };
    const bash: Bash = async (script) => {
      const outcome = await program.run({ ...request, action: "run", script }, ORDINARY_UID);
      return outcome as Awaited<ReturnType<Bash>>;
    };
    try {
      expect(await program.run({ ...request, action: "features" }, ORDINARY_UID)).toMatchObject({
        probe: { usable: true },
        network: ["none"],
      });
      expect(await bash("echo $HOME; id -un; touch made; ls")).toEqual({
        exitCode: 0,
        stdout: "/workspace\nuser\nmade\n",
        stderr: "",
      });
      expect(await attack(bash, dataDir)).toEqual([]);
      expect(await program.run({ ...request, action: "inspect" }, ORDINARY_UID)).toEqual({
        spaceId: id,
        running: true,
      });
    } finally {
      expect(await program.run({ ...request, action: "destroy" }, ORDINARY_UID)).toBe("destroyed");
      await rm(home, { recursive: true });
    }
  });
});
