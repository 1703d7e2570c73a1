import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSdk, PLACES, type SdkClient } from "../../test/support/sdk.js";
import { CancelledError, InvalidInputError, NotFoundError } from "./errors.js";
import type { Operation } from "./operation-types.js";
import type { Space } from "./space.js";

describe.each(PLACES)("a run of operations on %s", (place) => {
  let opened: SdkClient;
  let space: Space;
  beforeAll(async () => {
    opened = await openSdk(place, "virtual");
    space = await opened.client.spaces.create();
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });

  it("carries each out in order, and tells what came of it", async () => {
    const run = await space.run({
      operations: [
        { type: "message", content: "Begin" },
        { type: "createFile", path: "data.json", content: '{"key": "old"}', id: "make" },
        {
          type: "editFile",
          path: "data.json",
          edits: [
            { oldContent: "old", newContent: "$& new" },
            { oldContent: "new", newContent: "newer" },
          ],
        },
        { type: "readFile", path: "data.json" },
        { type: "shell", command: 'cat data.json; echo "$A" >&2; pwd', env: { A: "x" }, cwd: "." },
        { type: "deleteFile", path: "data.json" },
      ],
    });
    expect(run).toMatchObject({ spaceId: space.id, status: "completed" });
    expect(run.events).toMatchObject([
      { type: "message", content: "Begin", success: true },
      { type: "createFile", path: "data.json", operationId: "make", bytesWritten: 14 },
      { type: "editFile", editsApplied: 2, success: true },
      { type: "readFile", content: '{"key": "$& newer"}', encoding: "utf8", size: 19 },
      {
        type: "shell",
        exitCode: 0,
        stdout: '{"key": "$& newer"}/workspace\n',
        stderr: "x\n",
        success: true,
        timedOut: false,
      },
      { type: "deleteFile", path: "data.json", success: true },
    ]);
    for (const event of run.events) {
      expect(event.durationMs).toBeGreaterThanOrEqual(0);
      expect(event.timestamp >= run.startedAt && event.timestamp <= run.completedAt).toBe(true);
    }
    expect(JSON.parse(JSON.stringify(run))).toEqual(run);
  });

  it("records what fails and goes on", async () => {
    await space.files.write("there", "text");
    await space.files.mkdir("directory");
    const edits = [
      { oldContent: "text", newContent: "changed" },
      { oldContent: "absent", newContent: "" },
    ];
    const run = await space.run({
      operations: [
        { type: "createFile", path: "there", content: "other" },
        { type: "readFile", path: "missing" },
        { type: "editFile", path: "there", edits },
        { type: "deleteFile", path: "directory" },
        { type: "deleteFile", path: "../outside" },
        { type: "shell", command: "exit 3" },
        { type: "shell", command: "sleep 60", timeoutMs: 100 },
        { type: "readFile", path: "there" },
      ],
    });
    expect(run.status).toBe("failed");
    expect(run.events).toMatchObject([
      { success: false, path: "there", error: { code: "FILE_EXISTS" } },
      { success: false, path: "missing", error: { code: "FILE_NOT_FOUND" } },
      { success: false, error: { code: "CONFLICT", message: expect.stringContaining("absent") } },
      { success: false, error: { code: "WRONG_FILE_TYPE" } },
      { success: false, error: { code: "PATH_DENIED" } },
      { success: false, exitCode: 3, error: { code: "COMMAND_FAILED" } },
      { success: false, timedOut: true, error: { code: "COMMAND_TIMEOUT" } },
      { success: true, content: "text" },
    ]);
  });

  it("may have none, and may replace a file", async () => {
    expect(await space.run({ operations: [] })).toMatchObject({ status: "completed", events: [] });
    await space.files.write("replaced", "old");
    const operation = { type: "createFile", path: "replaced", content: "bmV3" } as const;
    const encoding = "base64" as const;
    await space.run({ operations: [{ ...operation, encoding, overwrite: true }] });
    expect((await space.files.read("replaced")).content).toBe("new");
  });

  it("is refused as a whole where one is no operation, before any is carried out", async () => {
    const first = { type: "createFile", path: "never", content: "" };
    const bad: unknown[] = [
      null,
      "shell",
      {},
      { type: "createfile", path: "x", content: "" },
      { type: "constructor" },
      { type: "shell" },
      { type: "shell", command: 7 },
      { type: "shell", command: "true", timeout: 5 },
      { type: "readFile", path: ["x"] },
      { type: "editFile", path: "x", edits: [] },
      { type: "editFile", path: "x", edits: [{ oldContent: "a" }] },
      { type: "message", content: "x", id: 7 },
    ];
    for (const operation of bad) {
      const operations = [first, operation] as Operation[];
      await expect(space.run({ operations })).rejects.toBeInstanceOf(InvalidInputError);
    }
    const none = {} as { operations: [] };
    await expect(space.run(none)).rejects.toBeInstanceOf(InvalidInputError);
    expect(await space.files.exists("never")).toBe(false);
  });

  it("breaks off where going on is pointless, and tells what was done", async () => {
    const gone = await opened.client.spaces.create();
    const same = await opened.client.spaces.get(gone.id);
    await gone.destroy();
    const operations: Operation[] = [
      { type: "message", content: "x" },
      { type: "shell", command: "true" },
    ];
    const broken = await same.run({ operations }).catch((error: unknown) => error);
    expect(broken).toBeInstanceOf(NotFoundError);
    expect(broken).toMatchObject({ details: { events: [{ type: "message", success: true }] } });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const long: Operation[] = [{ type: "shell", command: "sleep 60" }];
    const cancelled = space.run({ operations: long }, { signal: abort.signal });
    await expect(cancelled).rejects.toBeInstanceOf(CancelledError);
  });
});
