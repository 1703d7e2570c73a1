/** What the SDK's types promise: compiled by `npm run check`, never run. */
import { expectTypeOf } from "vitest";
import {
  AgentSpaces,
  type CommandResult,
  type ConflictError,
  type FileInfo,
  NotFoundError,
  type Operation,
  type Page,
  type Process,
  type ProcessOutput,
  type Pty,
  type Run,
  type RunEvent,
  type Space,
  type SpaceStatus,
  SpacesError,
  TimeoutError,
} from "../index.js";
import { createTestClient } from "../testing.js";

declare const space: Space;
declare const caught: unknown;
const client = new AgentSpaces({ timeoutMs: 60_000 });

expectTypeOf(createTestClient()).toEqualTypeOf<AgentSpaces>();
expectTypeOf(client).toExtend<AsyncDisposable>();
expectTypeOf(space).toExtend<AsyncDisposable>();
// @ts-expect-error: an option that does not exist
new AgentSpaces({ apiKey: "spt_x" });

expectTypeOf(client.spaces.create({ name: "a", ttlSeconds: 60 })).resolves.toEqualTypeOf<Space>();
expectTypeOf(client.spaces.create()).resolves.toEqualTypeOf<Space>();
// @ts-expect-error: comes with a later version
client.spaces.create({ policy: "standard" });
// @ts-expect-error: names are text
client.spaces.create({ name: 7 });

expectTypeOf(client.spaces.list()).resolves.toEqualTypeOf<Page<Space>>();
expectTypeOf<Page<Space>[number]>().toEqualTypeOf<Space>();
expectTypeOf<Page<Space>["nextCursor"]>().toEqualTypeOf<string | undefined>();
// @ts-expect-error: another product's word
client.spaces.list({ status: "ready" });
expectTypeOf(client.spaces).toExtend<AsyncIterable<Space>>();

expectTypeOf(space.status).toEqualTypeOf<SpaceStatus>();
expectTypeOf(space.createdAt).toEqualTypeOf<string>();
expectTypeOf(space.expiresAt).toEqualTypeOf<string | undefined>();
// @ts-expect-error: changed by `update`
space.name = "other";
space.update({ metadata: { updated: true, count: 1, text: "x" } });
space.extend({ duration: 3600 });
space.extend({ durationMs: 1000 });
// @ts-expect-error: one of the two
space.extend({ duration: 3600, durationMs: 1000 });
// @ts-expect-error: one of the two
space.extend({});

expectTypeOf(space.run("ls")).resolves.toEqualTypeOf<CommandResult>();
expectTypeOf(
  space.run("ls", { args: ["-l"], check: true }),
).resolves.toEqualTypeOf<CommandResult>();
expectTypeOf(space.run({ operations: [] })).resolves.toEqualTypeOf<Run>();
// @ts-expect-error: commands have `check`, runs have not
space.run({ operations: [] }, { check: true });
// @ts-expect-error: exec never throws for what the command does
space.exec("ls", { check: true });
space.run({ operations: [{ type: "shell", command: "ls" }] });
// @ts-expect-error: a shell operation needs a command
space.run({ operations: [{ type: "shell" }] });
// @ts-expect-error: there is no such operation
space.run({ operations: [{ type: "rename", path: "a" }] });
expectTypeOf<Operation["type"]>().toEqualTypeOf<RunEvent["type"]>();

function outputOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case "shell":
      return event.stdout;
    case "readFile":
      return event.content;
    case "createFile":
    case "editFile":
    case "deleteFile":
      return event.path;
    case "message":
      return event.content;
  }
}
expectTypeOf(outputOf).returns.toEqualTypeOf<string | undefined>();

expectTypeOf(space.files.read("a")).resolves.toHaveProperty("content").toEqualTypeOf<string>();
space.files.read("a", "base64");
space.files.read("a", { encoding: "base64", offset: 1 });
// @ts-expect-error: `utf8` or `base64`
space.files.read("a", "latin1");
expectTypeOf(space.files.readBytes("a")).resolves.toEqualTypeOf<Uint8Array>();
expectTypeOf(space.files.readStream("a")).resolves.toExtend<AsyncIterable<Uint8Array>>();
space.files.write("a", new Uint8Array());
space.files.write("a", new ReadableStream<Uint8Array>());
space.files.write("a", process.stdin);
// @ts-expect-error: text, bytes or a stream of them
space.files.write("a", { content: "x" });
expectTypeOf(space.files.list({ recursive: true })).resolves.toEqualTypeOf<FileInfo[]>();

expectTypeOf(space.process.start("x", { input: true })).resolves.toEqualTypeOf<Process>();
expectTypeOf(space.process.stream("x")).toEqualTypeOf<AsyncGenerator<ProcessOutput, void>>();
space.process.kill("id", { signal: "SIGTERM" });
// @ts-expect-error: signals go by name
space.process.kill("id", { signal: 15 });
space.run("x", { signal: AbortSignal.timeout(1000) });
// @ts-expect-error: here the signal is one that cancels the call
space.run("x", { signal: "SIGTERM" });

expectTypeOf(space.pty.open({ cols: 120, rows: 40 })).resolves.toEqualTypeOf<Pty>();
declare const pty: Pty;
expectTypeOf(pty.onData).parameter(0).parameter(0).toEqualTypeOf<Uint8Array>();
expectTypeOf(pty.onData(() => undefined)).toEqualTypeOf<() => void>();
expectTypeOf(pty).toExtend<AsyncIterable<Uint8Array>>();

if (NotFoundError.isInstance(caught)) expectTypeOf(caught).toEqualTypeOf<NotFoundError>();
if (caught instanceof TimeoutError) {
  expectTypeOf(caught.result).toEqualTypeOf<CommandResult | undefined>();
}
expectTypeOf<ConflictError>().toExtend<SpacesError>();
// @ts-expect-error: codes are those of the registry
new SpacesError("NOPE");
