import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../test/support/bubblewrap.js";
import { createTestClient } from "../testing.js";
import type { AgentSpaces } from "./agent-spaces.js";
import {
  CancelledError,
  CommandFailedError,
  InvalidInputError,
  NotFoundError,
  TimeoutError,
  UnsupportedError,
} from "./errors.js";
import type { ProcessOutput } from "./process-output.js";
import type { RunCommandOptions } from "./processes.js";
import type { Space } from "./space.js";

const bubblewrap = await bubblewrapAvailability();

async function all(events: AsyncIterable<ProcessOutput>) {
  const text = { stdout: "", stderr: "", exitCode: -1 };
  for await (const event of events) {
    if (event.type === "exit") text.exitCode = event.exitCode;
    else if (event.type !== "lost") text[event.type] += event.data;
  }
  return text;
}

describe("running commands", () => {
  let client: AgentSpaces;
  let space: Space;
  beforeAll(async () => {
    client = createTestClient();
    space = await client.spaces.create();
  });
  afterAll(async () => {
    await client.close();
  });

  it("takes arguments, environment, directory and input", async () => {
    const printed = await space.process.run("printf", { args: ["%s|", "a b", "$HOME"] });
    expect(printed).toMatchObject({ exitCode: 0, stdout: "a b|$HOME|" });
    await space.run("mkdir deep");
    const result = await space.run('echo "$A"; pwd; cat', {
      env: { A: "x y" },
      cwd: "deep",
      input: "typed",
    });
    expect(result.stdout).toBe("x y\n/workspace/deep\ntyped");
  });

  it("gives another exit code than 0 as a result, or as an error where it is checked", async () => {
    const result = await space.run("echo out; echo err >&2; exit 3");
    expect(result).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
    const failed = await space
      .run("echo out; exit 3", { check: true })
      .catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CommandFailedError);
    expect((failed as CommandFailedError).result).toMatchObject({ exitCode: 3, stdout: "out\n" });
    expect(await space.run("true", { check: true })).toMatchObject({ exitCode: 0 });
  });

  it("throws when the time is up, with what there was; exec tells it", async () => {
    const options = { args: ["60"], timeoutMs: 200 };
    const late = await space.run("sleep", options).catch((error: unknown) => error);
    expect(late).toBeInstanceOf(TimeoutError);
    expect(late).toMatchObject({ code: "COMMAND_TIMEOUT", result: { exitCode: 124 } });
    expect(await space.exec("sleep", options)).toMatchObject({ timedOut: true, exitCode: 124 });
  });

  it("is cancelled by a signal, or by its time", async () => {
    const signal = AbortSignal.timeout(200);
    await expect(space.run("sleep 60", { signal })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const cancelled = space.run("sleep 60", { signal: abort.signal });
    await expect(cancelled).rejects.toBeInstanceOf(CancelledError);
  });

  it("refuses what is no command and no option", async () => {
    const unknown = { shell: "zsh" } as RunCommandOptions;
    await expect(space.run("true", unknown)).rejects.toBeInstanceOf(InvalidInputError);
    await expect(space.run("")).rejects.toBeInstanceOf(InvalidInputError);
    await expect(space.run("nope", { args: [] })).rejects.toBeInstanceOf(NotFoundError);
  });

  it("says where processes cannot outlive their caller", async () => {
    await expect(space.process.start("true")).rejects.toBeInstanceOf(UnsupportedError);
    await expect(all(space.process.stream("true"))).rejects.toBeInstanceOf(UnsupportedError);
    await expect(space.pty.open()).rejects.toBeInstanceOf(UnsupportedError);
    const forward = { localPort: 8080, remote: space, remotePort: 80 };
    await expect(space.ports.forward(forward)).rejects.toBeInstanceOf(UnsupportedError);
    await expect(space.ports.open({ port: 80 })).rejects.toBeInstanceOf(UnsupportedError);
    expect(await space.ports.list()).toEqual([]);
    await expect(space.ports.stop(8080)).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe.skipIf(!bubblewrap.usable)("processes", () => {
  let client: AgentSpaces;
  let space: Space;
  beforeAll(async () => {
    client = createTestClient({ driver: "bubblewrap" });
    space = await client.spaces.create();
  });
  afterAll(async () => {
    await client.close();
  });

  it("stream their output as it comes, and leave nothing behind", async () => {
    const events: string[] = [];
    const command = "echo one; sleep 0.3; echo two >&2; exit 4";
    for await (const event of space.process.stream(command)) {
      if (event.type === "exit") events.push(`exit ${event.exitCode}`);
      else if (event.type !== "lost") events.push(`${event.type} ${event.data}`);
    }
    expect(events).toEqual(["stdout one\n", "stderr two\n", "exit 4"]);
    expect(await space.process.list()).toEqual([]);
  });

  it("have their text decoded across pieces", async () => {
    const command = "printf '\\303'; sleep 0.3; printf '\\274'; sleep 0.3; printf '\\303'";
    expect(await all(space.process.stream(command))).toMatchObject({ stdout: "ü\ufffd" });
  });

  it("get input that is larger than any pipe", async () => {
    const input = "0123456789abcdef".repeat(100_000);
    const result = await all(space.process.stream("wc", { args: ["-c"], input }));
    expect(result).toMatchObject({ stdout: "1600000\n", exitCode: 0 });
    const deaf = await all(space.process.stream("exec <&-; echo deaf", { input }));
    expect(deaf).toMatchObject({ stdout: "deaf\n", exitCode: 0 });
  });

  it("are killed when their reader leaves", async () => {
    for await (const event of space.process.stream("echo first; sleep 60")) {
      if (event.type === "stdout") break;
    }
    expect(await space.process.list()).toEqual([]);
    const left = await space.run("grep -lz '^sleep' /proc/[0-9]*/cmdline; true");
    expect(left.stdout).toBe("");
  });

  it("are killed when the time is up or the signal fires", async () => {
    const late = all(space.process.stream("sleep 60", { timeoutMs: 200 }));
    await expect(late).rejects.toMatchObject({ code: "COMMAND_TIMEOUT" });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const cancelled = all(space.process.stream("sleep 60", { signal: abort.signal }));
    await expect(cancelled).rejects.toBeInstanceOf(CancelledError);
    expect(await space.process.list()).toEqual([]);
  });

  it("live on by themselves: found, fed, followed from where one was, and waited for", async () => {
    const started = await space.process.start("cat", { args: [], input: true });
    expect(started).toMatchObject({ state: "running", terminal: false, argv: ["cat"] });
    const found = await space.process.get(started.id);
    await found.write("wörds");
    let offset = 0;
    for await (const event of found) {
      if (event.type !== "stdout") continue;
      offset = event.offset + event.bytes.length;
      if (offset === 6) break;
    }
    await found.write(new TextEncoder().encode(" more"));
    await found.closeInput();
    expect(await all(started.output({ stdoutOffset: offset }))).toMatchObject({
      stdout: " more",
      exitCode: 0,
    });
    expect(await started.wait()).toEqual({ type: "exit", exitCode: 0 });
    expect(started).toMatchObject({ state: "exited", exitCode: 0 });
    await started.remove();
    await expect(started.refresh()).rejects.toBeInstanceOf(NotFoundError);
  });

  it("are signalled and killed", async () => {
    const trapping = await space.process.start("trap 'exit 5' TERM; echo up; sleep 60 & wait");
    for await (const event of trapping) if (event.type === "stdout") break;
    await expect(trapping.wait({ timeoutMs: 50 })).rejects.toMatchObject({ code: "CALL_TIMEOUT" });
    await space.process.kill(trapping.id, { signal: "SIGTERM" });
    expect(await trapping.wait()).toEqual({ type: "exit", exitCode: 5 });
    const stubborn = await space.process.start("trap '' TERM; echo up; sleep 60");
    for await (const event of stubborn) if (event.type === "stdout") break;
    await stubborn.signal("SIGTERM");
    await space.process.kill(stubborn.id);
    expect(await stubborn.wait()).toEqual({ type: "exit", exitCode: 137, signal: "SIGKILL" });
    await expect(space.process.kill("0".repeat(32))).rejects.toBeInstanceOf(NotFoundError);
    const signal = "KILL" as "SIGKILL";
    await expect(space.process.kill(stubborn.id, { signal })).rejects.toBeInstanceOf(
      InvalidInputError,
    );
  });

  it("reach each other over forwarded ports", async () => {
    await using api = await client.spaces.create();
    const server = "exec python3 -m http.server 3000 --bind 127.0.0.1";
    await api.process.start(`echo served > index.html; ${server}`);
    const forward = await space.ports.forward({ localPort: 8080, remote: api, remotePort: 3000 });
    expect(forward).toMatchObject({ localPort: 8080, remote: { id: api.id } });
    await expect
      .poll(async () => (await space.run("curl -sS localhost:8080")).stdout)
      .toBe("served\n");
    expect(await space.ports.list()).toHaveLength(1);
    await space.ports.stop(8080);
    expect(await space.ports.list()).toEqual([]);
  });
});
