/** The session and the real agent together: starting, ending, killing and listing processes. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GuestProcess } from "../drivers/driver.js";
import { GuestSession } from "./guest-session.js";
import { ENV, processesWith, run, sh, TestAgent, text, until } from "./test-agent.js";

let agent: TestAgent;
let session: GuestSession;

beforeAll(async () => {
  agent = await TestAgent.serve();
  session = await agent.session();
});

afterAll(async () => {
  await session.close();
  await agent[Symbol.asyncDispose]();
});

const exec = (argv: readonly [string, ...string[]], workdir = "/") =>
  session.spawn({ argv, env: ENV, workdir });

describe("running a program", () => {
  it("delivers stdout, stderr and the exit code apart", async () => {
    expect(await run(session, "echo out; echo err >&2; exit 7")).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      exitCode: 7,
    });
  });

  it("satisfies the drivers' interface", async () => {
    const process: GuestProcess = await exec(["true"]);
    expect(await process.exit).toEqual({ exitCode: 0 });
  });

  it("reports the signal that killed a program", async () => {
    expect(await run(session, "kill -TERM $$")).toMatchObject({ exitCode: 143, signal: "SIGTERM" });
  });

  it("passes arguments, environment and directory exactly", async () => {
    const process = await session.spawn({
      argv: ["/bin/sh", "-c", 'printf "%s|" "$@"; pwd; env', "sh", "a b", "", "ü"],
      env: { ONLY: "this=that" },
      workdir: "/usr",
    });
    expect(await text(process.stdout)).toMatch(/^a b\|\|ü\|\/usr\n(PWD=.*\n|ONLY=this=that\n)+$/);
  });

  it("gives a program no descriptors but its own, and its own session", async () => {
    const { stdout } = await run(
      session,
      "ls /proc/self/fd | wc -l; umask; ps -o sid= -p $$; echo $$",
    );
    const [fds, mask, sid, pid] = stdout.trim().split(/\s+/);
    // The fourth is the directory that `ls` reads.
    expect([fds, mask, sid]).toEqual(["4", "0022", pid]);
  });

  it("runs as another user when asked to", async () => {
    const process = await sh(session, "id -u; id -g; echo x > /proc/self/fd/1", {
      user: { uid: 12345, gid: 54321 },
    });
    expect(await text(process.stdout)).toBe("12345\n54321\nx\n");
  });

  it("runs a hundred programs at once", async () => {
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, index) => run(session, `echo ${index}; exit ${index}`)),
    );
    expect(all.map((result) => result.exitCode)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(all[42]?.stdout).toBe("42\n");
  });

  it("forgets processes that are not detached once they are gone", async () => {
    await run(session, "true");
    await until("the list is empty", async () => (await session.list()).length === 0);
  });
});

describe("refusals", () => {
  it("says that a program does not exist", async () => {
    for (const program of ["no-such-program", "/no/such/program", ""]) {
      await expect(exec([program])).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
    }
  });

  it("says that a file is not executable, a directory, or without its interpreter", async () => {
    await expect(exec(["/etc/passwd"])).rejects.toThrow("is not executable");
    await expect(exec(["/etc"])).rejects.toThrow("is a directory");
    const { stdout } = await run(
      session,
      'd=$(mktemp -d); echo $d; printf "#!/no/such\\n" > $d/a; printf hello > $d/b; chmod 755 $d/a $d/b',
    );
    const directory = stdout.trim();
    await expect(exec([`${directory}/a`])).rejects.toThrow("interpreter");
    await expect(exec([`${directory}/b`])).rejects.toThrow("neither a binary");
    await run(session, `rm -r ${directory}`);
  });

  it("says what is wrong with the directory, even when the program is wrong too", async () => {
    await expect(exec(["true"], "/no/such")).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: 'The directory "/no/such" does not exist in the space.',
    });
    await expect(exec(["nope"], "/etc/passwd")).rejects.toThrow("is not a directory");
  });

  it("refuses text with NUL and requests that are too long, and goes on", async () => {
    await expect(exec(["echo", "a\0b"])).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(exec(["echo", "x".repeat(3_000_000)])).rejects.toThrow("at most");
    await expect(exec(["echo", "x".repeat(200_000)])).rejects.toThrow("too long");
    expect((await run(session, "echo on")).stdout).toBe("on\n");
  });

  it("takes an id only once", async () => {
    const id = "0123456789abcdef0123456789abcdef";
    const process = await sh(session, "sleep 60", { id });
    await expect(sh(session, "true", { id })).rejects.toMatchObject({ code: "CONFLICT" });
    const other = await agent.session();
    await expect(sh(other, "true", { id })).rejects.toMatchObject({ code: "CONFLICT" });
    await other.close();
    await process.kill();
  });
});

describe("killing", () => {
  it("kills a process and its background children", async () => {
    const process = await sh(session, "sleep 61234 & sleep 61234 & wait");
    await until("both sleep", () => processesWith("sleep\x0061234").length === 2);
    await process.kill();
    expect(processesWith("sleep\x0061234")).toEqual([]);
    expect(await process.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
    await process.kill();
  });

  it("kills what escaped by setsid, double fork and an empty environment, ignoring SIGTERM", async () => {
    const script = `
      trap '' TERM HUP INT
      (setsid env -i sh -c 'trap "" TERM; (setsid sleep 61235 &) ; exec sleep 61235' &)
      nohup sleep 61235 >/dev/null 2>&1 &
      echo ready; exec sleep 61235`;
    const process = await sh(session, script);
    await until("all four sleep", () => processesWith("sleep\x0061235").length === 4);
    await process.kill();
    expect(processesWith("sleep\x0061235")).toEqual([]);
  });

  it("kills a stopped process, and what it left after its own end", async () => {
    const stopped = await sh(session, "kill -STOP $$; sleep 1");
    await stopped.kill();
    expect(await stopped.exit).toMatchObject({ signal: "SIGKILL" });
    const left = await sh(session, "sleep 61236 & exit 3");
    expect(await left.exit).toEqual({ exitCode: 3 });
    await until("the child sleeps", () => processesWith("sleep\x0061236").length === 1);
    await left.kill();
    expect(processesWith("sleep\x0061236")).toEqual([]);
  });

  it("kills a fork bomb", async () => {
    // Ends by itself: each generation has a fixed depth, and the limit counts for this user alone.
    const bomb = "b() { [ $1 -gt 0 ] && { b $(($1 - 1)) & b $(($1 - 1)) & }; sleep 61237; }; b 9";
    const process = await session.spawn({
      argv: ["/bin/bash", "-c", `ulimit -u 120; ${bomb}`],
      env: ENV,
      workdir: "/",
      user: { uid: 61237, gid: 61237 },
    });
    process.stderr.resume();
    await until("it has spread", () => processesWith("61237").length > 40);
    await process.kill();
    expect(processesWith("61237")).toEqual([]);
  });

  it("signals the process group, and nothing once the process has ended", async () => {
    const process = await sh(
      session,
      "trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.01; done",
    );
    let seen = "";
    process.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await until("ready", () => seen === "ready\n");
    await process.signal("SIGUSR1");
    expect(await process.exit).toEqual({ exitCode: 9 });
    await process.signal("SIGUSR1");
    await expect(session.signal(process.id, "SIGNOT")).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  it("kills when the caller's signal fires, before and after the start", async () => {
    const controller = new AbortController();
    const process = await session.spawn(
      { argv: ["sleep", "61238"], env: ENV, workdir: "/" },
      { signal: controller.signal },
    );
    controller.abort();
    expect(await process.exit).toMatchObject({ signal: "SIGKILL" });
    const during = new AbortController();
    const start = session.spawn(
      { argv: ["sleep", "61238"], env: ENV, workdir: "/" },
      { signal: during.signal },
    );
    during.abort();
    await expect(start).rejects.toMatchObject({ code: "CANCELLED" });
    expect(processesWith("sleep\x0061238")).toEqual([]);
  });

  it("says so when the supervisor is killed, and leaves nothing of the tree", async () => {
    const process = await sh(session, "(setsid sleep 61239 &); sleep 61239");
    await until("both sleep", () => processesWith("sleep\x0061239").length === 2);
    const parent = (pid: number) =>
      Number(/\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1]);
    globalThis.process.kill(parent(process.pid), "SIGKILL");
    await expect(process.exit).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    await until("nothing is left", () => processesWith("sleep\x0061239").length === 0);
  });
});

describe("several hosts", () => {
  it("shows a process to another session and lets it be killed from there", async () => {
    const other = await agent.session();
    const process = await sh(session, "sleep 60");
    const [listed] = await other.list();
    expect(listed).toMatchObject({
      id: process.id,
      argv: ["/bin/sh", "-c", "sleep 60"],
      state: "running",
      background: false,
      detached: false,
    });
    await other.kill(process.id);
    expect(await process.exit).toMatchObject({ signal: "SIGKILL" });
    await other.close();
  });

  it("kills what is not detached when its session ends", async () => {
    const other = await agent.session();
    await sh(other, "setsid sleep 61240 & sleep 61240");
    await until("both sleep", () => processesWith("sleep\x0061240").length === 2);
    await other.close();
    await until("nothing is left", () => processesWith("sleep\x0061240").length === 0);
  });

  it("lets a detached process live on, and finds it again from an offset", async () => {
    const first = await agent.session();
    const started = await sh(first, "echo one; read line; echo got $line; exit 5", {
      detached: true,
      stdin: "pipe",
    });
    await until("its first line is there", () => started.stdout.readableLength > 0);
    await first.close();
    await expect(started.exit).rejects.toMatchObject({ code: "DRIVER_FAILED" });

    const second = await agent.session();
    const again = await second.attach(started.id, { stdout: 2, stdin: true });
    again.stdin.end("two\n");
    expect(await text(again.stdout)).toBe("e\ngot two\n");
    expect(await again.exit).toEqual({ exitCode: 5 });
    // And once more, now that it has ended.
    const after = await second.attach(started.id);
    expect(await text(after.stdout)).toBe("one\ngot two\n");
    expect(await after.exit).toEqual({ exitCode: 5 });
    await second.release(started.id);
    await expect(second.attach(started.id)).rejects.toMatchObject({ code: "PROCESS_NOT_FOUND" });
    await second.close();
  });

  it("keeps what was detached later, and follows what background children write", async () => {
    const other = await agent.session();
    const process = await sh(other, "echo a; (sleep 0.2; echo b) & exit 0");
    await process.exit;
    expect(await text(process.stdout)).toBe("a\n");
    await process.detach();
    await other.close();
    const follower = await session.attach(process.id, { follow: true });
    expect(await text(follower.stdout)).toBe("a\nb\n");
    await session.release(process.id);
  });

  it("keeps only so many that have ended, the newest", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 70; index += 1) {
      const process = await sh(session, "true", { detached: true });
      ids.push(process.id);
      await process.exit;
    }
    await until("the oldest are dropped", async () => (await session.list()).length === 64);
    const kept = new Set((await session.list()).map((process) => process.id));
    expect(kept.has(ids[69] ?? "")).toBe(true);
    await Promise.all([...kept].map((id) => session.release(id)));
  });
});

describe("the agent itself", () => {
  it("shows its token nowhere", async () => {
    const token = agent.token.toString("hex");
    expect(readFileSync(`/proc/${agent.pid}/environ`, "latin1")).not.toContain(token);
    expect((await run(session, "env; cat /proc/$PPID/environ")).stdout).not.toContain(token);
  });

  it("refuses another token and goes on", async () => {
    const opened = GuestSession.open(await agent.socket(), { token: Buffer.alloc(32) });
    await expect(opened).rejects.toMatchObject({ code: "DRIVER_FAILED" });
    await session.ping();
  });

  it("ends everything when told to", async () => {
    await using own = await TestAgent.serve();
    const other = await own.session();
    await sh(other, "trap '' TERM; setsid sleep 61241 & sleep 61241; sleep 61241", {
      detached: true,
    });
    await until("they sleep", () => processesWith("sleep\x0061241").length >= 2);
    await other.shutdown(50);
    await until("it has ended", () => !own.running);
    expect(processesWith("sleep\x0061241")).toEqual([]);
  });
});
