/** What a hostile program inside of a Docker space cannot do to its host. */
import { existsSync, readdirSync } from "node:fs";
import { lstat, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome } from "../support/cli.js";
import { dockerAvailability } from "../support/docker.js";

const available = (await dockerAvailability()).usable;

const TEMPLATES = `
name: limited
resources: { memory: 64Mi, cpus: 0.5, pids: 40 }
---
name: alone
network: none
---
name: as-root
user: "0:0"
`;

describe.skipIf(!available)("a space on docker", () => {
  let cli: CliHome;
  beforeAll(async () => {
    cli = await CliHome.make("docker");
    await cli.run(["templates", "apply", "-f", "-"], { input: TEMPLATES });
    for (const args of [["plain"], ["limited", "--template", "limited"]]) {
      expect(await cli.run(["create", ...args, "--start"])).toMatchObject({ code: 0 });
    }
  });
  afterAll(async () => {
    await cli[Symbol.asyncDispose]();
  });

  /** Runs a command line in a space; gives what it printed. */
  const inside = async (space: string, line: string): Promise<string> => {
    const result = await cli.run(["exec", space, "--", "sh", "-c", line]);
    return result.stdout + result.stderr;
  };
  const shown = (space: string) =>
    cli.json<{ id: string; workspace: string; status: string }>(["show", space]);
  const container = async (space: string) => {
    const { id } = await shown(space);
    const filters = { label: [`spaces.space=${id}`] };
    const [found] = await new Docker().listContainers({ all: true, filters });
    return await new Docker().getContainer(found?.Id ?? "").inspect();
  };

  it("has no capability, cannot gain any, and is filtered by seccomp", async () => {
    const status = await inside("plain", "cat /proc/self/status");
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      expect(status).toMatch(new RegExp(`^${set}:\\s+0+$`, "m"));
    }
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^Seccomp:\s+2$/m);
  });

  it("is a container without privileges, devices or views of the host", async () => {
    const { HostConfig, Mounts } = await container("plain");
    expect(HostConfig).toMatchObject({ Privileged: false, CapDrop: ["ALL"] });
    expect(HostConfig.CapAdd ?? []).toEqual([]);
    expect(HostConfig.Devices ?? []).toEqual([]);
    expect(HostConfig.PidMode).toBe("");
    expect(HostConfig.NetworkMode).not.toBe("host");
    expect(HostConfig.IpcMode).not.toBe("host");
    const { workspace, id } = await shown("plain");
    // Nothing of another space, or of all spaces.
    for (const mount of Mounts) expect(mount.Source).toContain(`/${id}/`);
    const writable = Mounts.filter((mount) => mount.RW).map((mount) => mount.Source);
    // The agent makes its socket in the second, from where it is taken away at once.
    const agent = join(workspace, "../state/agent/run");
    expect(writable.sort()).toEqual([agent, workspace].sort());
    expect(readdirSync(agent)).toEqual([]);
    for (const mount of Mounts)
      expect(mount.Source).not.toMatch(/docker\.sock|^\/$|^\/(proc|sys|etc)/);
  });

  it("has no socket of the engine, no host path and no host process", async () => {
    expect(await inside("plain", "ls /var/run/docker.sock /run/docker.sock")).not.toMatch(
      /^\/(var\/)?run\/docker\.sock$/m,
    );
    expect(await inside("plain", `ls ${cli.home}`)).toContain("No such file");
    const processes = await inside("plain", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    expect(processes).not.toMatch(/dockerd|containerd|vitest/);
    const environment = await inside("plain", "env; cat /proc/1/environ 2>/dev/null");
    for (const name of ["SPACES_HOME", "SPACES_DEFAULT_IMAGE", "NODE_", "VITEST"]) {
      expect(environment).not.toContain(name);
    }
  });

  it("finds neither the agent's socket nor its token", async () => {
    const { workspace } = await shown("plain");
    const [, token = ""] =
      /^SPACES_GUEST_TOKEN=(.{64})$/m.exec((await container("plain")).Config.Env.join("\n")) ?? [];
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    expect(existsSync(join(workspace, "../state/agent/agent.sock"))).toBe(true);
    expect(await inside("plain", "ls -A /.spaces/run")).toBe("");
    const seen = await inside(
      "plain",
      "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; cat /proc/1/mem; true",
    );
    expect(seen).toContain("/.spaces/guest");
    expect(seen).not.toContain(token);
    expect(seen).not.toContain("SPACES_GUEST_TOKEN");
  });

  it("cannot put another socket, file or link in the place of the agent's", async () => {
    await inside(
      "plain",
      "chmod 700 /.spaces/run; mkdir -p /.spaces/run/agent.sock/deep; ln -s /var/run/docker.sock /.spaces/run/x",
    );
    expect(await inside("plain", "echo still here")).toBe("still here\n");
    expect(await cli.run(["restart", "plain"])).toMatchObject({ code: 0 });
    expect(await inside("plain", "echo and back")).toBe("and back\n");
    await inside(
      "plain",
      "chmod 700 /.spaces/run; ln -s /var/run/docker.sock /.spaces/run/agent.sock",
    );
    expect(await inside("plain", "echo still here")).toBe("still here\n");
    expect(await cli.run(["restart", "plain"])).toMatchObject({ code: 0 });
    expect(await inside("plain", "echo and back; rm -rf /.spaces/run/*")).toBe("and back\n");
  });

  it("cannot kill, stop or trace the agent", async () => {
    const line = "kill -9 1; kill -STOP 1; kill -SEGV 1; ls -l /proc/1/exe /proc/1/fd; echo on";
    expect(await inside("plain", line)).toMatch(/on\n/);
    expect(await inside("plain", "echo after")).toBe("after\n");
  });

  it("ends when it asks its agent to end, and can be started again", async () => {
    expect(await cli.run(["create", "ender", "--start"])).toMatchObject({ code: 0 });
    const ended = await cli.run(["exec", "ender", "--", "sh", "-c", "kill -TERM 1; sleep 30"]);
    expect(ended.code).not.toBe(0);
    await expect
      .poll(async () => (await cli.run(["exec", "ender", "--", "true"])).stderr)
      .toMatch(/\[SPACE_NOT_RUNNING]/);
    expect(await cli.run(["start", "ender"])).toMatchObject({ code: 0 });
    expect(await inside("ender", "echo back")).toBe("back\n");
  });

  it("runs as the user of the host, who can remove what it writes", async () => {
    const uid = process.getuid?.();
    expect((await inside("plain", "id -u")).trim()).toBe(String(uid));
    await inside("plain", "mkdir -p deep/er && echo x > deep/er/file && chmod 000 deep/er/file");
    const { workspace } = await shown("plain");
    const written = await stat(join(workspace, "deep/er/file"));
    expect(written.uid).toBe(uid);
  });

  it("leaves nothing on the host once it is deleted, even what root wrote", async () => {
    expect(await cli.run(["create", "rooted", "--template", "as-root", "--start"])).toMatchObject({
      code: 0,
    });
    await inside("rooted", "mkdir -p a/b && echo x > a/b/c && chmod 500 a/b a && chmod 000 a/b/c");
    const { workspace, id } = await shown("rooted");
    expect(await cli.run(["delete", "rooted", "--force"])).toMatchObject({ code: 0 });
    expect(existsSync(workspace)).toBe(false);
    const left = readdirSync(join(cli.home, "data"), { recursive: true }).map(String);
    expect(left.filter((path) => path.includes(id))).toEqual([]);
  });

  it("cannot use up the processes of the machine", async () => {
    // Bounded: 120 processes that each sleep for some seconds, under a limit of 40.
    const output = await inside(
      "limited",
      "i=0; while [ $i -lt 120 ]; do sleep 5 & i=$((i+1)); done; echo started",
    );
    expect(output).toMatch(/fork|Resource temporarily unavailable/i);
    expect((await container("limited")).HostConfig.PidsLimit).toBe(40);
    await expect
      .poll(() => inside("limited", "echo alive"), { timeout: 30_000 })
      .toContain("alive\n");
  });

  it("cannot use up the memory of the machine", async () => {
    const { HostConfig } = await container("limited");
    expect(HostConfig).toMatchObject({ Memory: 64 * 1024 * 1024, NanoCpus: 5e8 });
    expect(HostConfig.MemorySwap).toBe(HostConfig.Memory);
    // Tail keeps all of an endless line in its memory; at most 400 MB are offered.
    const result = await cli.run([
      "exec",
      "limited",
      "--",
      "sh",
      "-c",
      "head -c 400000000 /dev/zero | tail -n 1 | wc -c; true",
    ]);
    expect(result.stdout).not.toContain("400000000");
    expect((await inside("limited", "echo alive")).trim()).toBe("alive");
  });

  it("has a limit of processes where its template names none", async () => {
    expect((await container("plain")).HostConfig.PidsLimit).toBeGreaterThan(0);
  });

  it("reaches nothing with the network none", async () => {
    expect(await cli.run(["create", "alone", "--template", "alone", "--start"])).toMatchObject({
      code: 0,
    });
    const devices = await inside("alone", "cat /proc/net/dev");
    expect(devices.match(/^\s*(\w+):/gm)?.map((name) => name.trim())).toEqual(["lo:"]);
  });

  it("does not make spaces follow its symbolic links on the host", async () => {
    const secret = await cli.write("secret.txt", "secret of the host\n");
    const { workspace } = await shown("plain");
    await inside("plain", `ln -sf ${secret} stolen; ln -sfn / root`);
    expect((await lstat(join(workspace, "stolen"))).isSymbolicLink()).toBe(true);
    // In the space the link leads to the space's own file system, where there is no such file.
    expect(await inside("plain", "cat stolen")).toContain("No such file");
    await cli.run(["scripts", "save", "-", "--name", "native"], {
      input: "#!/bin/sh\necho native; cat stolen\n",
    });
    const run = await cli.run(["run", "native", "--space", "plain"]);
    expect(run.stdout).not.toContain("secret of the host");
    // A file in the place of a script's can neither be guessed nor does it stay.
    expect(
      (await inside("plain", "ls -A")).split("\n").filter((name) => /script/.test(name)),
    ).toEqual([]);
    await cli.run(["delete", "plain", "--force"]);
    expect(await readFile(secret, "utf8")).toBe("secret of the host\n");
    expect(await cli.run(["create", "plain", "--start"])).toMatchObject({ code: 0 });
  });

  it("deleting a space whose workspace holds links removes the links alone", async () => {
    expect(await cli.run(["create", "linked", "--start"])).toMatchObject({ code: 0 });
    const victim = await cli.write("victim/file.txt", "still here");
    const { workspace } = await shown("linked");
    await symlink(join(cli.home, "files/victim"), join(workspace, "directory"));
    await symlink(victim, join(workspace, "file"));
    await writeFile(join(workspace, "own"), "");
    expect(await cli.run(["delete", "linked", "--force"])).toMatchObject({ code: 0 });
    expect(existsSync(workspace)).toBe(false);
    expect(await readFile(victim, "utf8")).toBe("still here");
  });

  it.each([
    ["/proc/self/fd/8", 2],
    ["/proc/1/root", 2],
    ["../../../../proc/self/cwd/../..", 0],
  ])("takes the working directory %s as one of its own", async (workdir) => {
    const source = `
      import spaces from "spaces";
      import { args } from "runtime";
      try { console.log(spaces.run("plain", "pwd; ls -a /; ls -a", { workdir: args[0] })); }
      catch (e) { console.log(e.code); }`;
    const { stdout } = await cli.script(source, { args: [workdir] });
    expect(stdout).not.toMatch(/spaces\.db|docker\.sock|boot|lost\+found/);
  });

  it.each([
    ["the time limit of a script", ["--timeout", "1s"], undefined, 124],
    ["SIGINT", [], "SIGINT", 130],
    ["SIGTERM", [], "SIGTERM", 143],
  ] as const)("keeps no process that %s has ended", async (_, flags, signal, code) => {
    const source = `
      import spaces from "spaces";
      console.log("ready");
      spaces.run("plain", "echo begun > begun; sleep 61 & sleep 61", { timeout: 60 });`;
    const { workspace } = await shown("plain");
    const ended = cli.script(source, {
      flags,
      onStart: (child) => {
        if (signal === undefined) return;
        const look = setInterval(() => {
          if (!existsSync(join(workspace, "begun"))) return;
          clearInterval(look);
          child.kill(signal);
        }, 20);
      },
    });
    expect(await ended).toMatchObject({ code });
    const left = () => inside("plain", "grep -lz '^61' /proc/[0-9]*/cmdline; rm -f begun");
    await expect.poll(left).toBe("");
  });

  it("survives hostile output: floods, no newline, no UTF-8, escape sequences", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      const flood = spaces.exec("plain", "head -c 200000000 /dev/zero");
      console.log(flood.exit_code, flood.truncated, flood.stdout.length < 1200000);
      const endless = spaces.exec("plain", "while true; do echo y; done", { timeout: 1 });
      console.log(endless.timed_out, endless.truncated || endless.stdout.length > 0);
      const bytes = spaces.run("plain", "printf '\\\\303\\\\050\\\\377\\\\300\\\\200'");
      console.log(JSON.stringify(bytes), bytes.length > 0);
      console.log(spaces.run("plain", "echo alive").trim());
    `);
    expect(lines[0]).toBe("0 true true");
    expect(lines[1]).toBe("true true");
    expect(lines[2]).toContain("\ufffd");
    expect(lines[3]).toBe("alive");
  });

  it("a command that a signal ends says so", async () => {
    const lines = await cli.lines(`
      import spaces from "spaces";
      for (const signal of ["KILL", "TERM", "SEGV"]) {
        try { spaces.run("plain", "kill -" + signal + " $$"); } catch (e) { console.log(e.code, e.details.exit_code); }
      }
    `);
    expect(lines).toEqual(["COMMAND_FAILED 137", "COMMAND_FAILED 143", "COMMAND_FAILED 139"]);
  });

  it("killed or removed behind our back is noticed, and comes back on start", async () => {
    expect(await cli.run(["create", "gone", "--start"])).toMatchObject({ code: 0 });
    const { Id } = await container("gone");
    await new Docker().getContainer(Id).remove({ force: true });
    const failed = await cli.run(["exec", "gone", "--", "true"]);
    expect(failed.stderr).toMatch(/\[SPACE_NOT_RUNNING]/);
    expect((await shown("gone")).status).not.toBe("running");
    expect(await cli.run(["start", "gone"])).toMatchObject({ code: 0 });
    expect((await inside("gone", "echo back")).trim()).toBe("back");
  });
});
