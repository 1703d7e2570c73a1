import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../test/support/bubblewrap.js";
import { openTestHost, type TestHost } from "../../test/support/engine-host.js";
import { codeOf } from "../../test/support/error-code.js";

const bubblewrap = await bubblewrapAvailability();

let test: TestHost;
afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

describe("a sandboxed script with a grant", () => {
  beforeEach(async () => {
    test = await openTestHost();
  });
  const run = async (source: string, grant?: ("UseSpaces" | "RunCommands" | "ManageUsers")[]) => {
    await test.local.scripts.save({ script: "s", source });
    return await test.local.scripts.run({ script: "s", ...(grant === undefined ? {} : { grant }) });
  };
  const TRY = `
    import spaces from "spaces";
    const attempt = (call) => { try { call(); return "done"; } catch (error) { return error.code; } };
    console.log(attempt(() => spaces.list()), attempt(() => spaces.create("a", "default")));
    console.log(attempt(() => spaces.run("a", "true")));`;

  it("does what it was granted and nothing else", async () => {
    expect((await run(TRY, ["UseSpaces"])).output).toBe("done done\nPERMISSION_DENIED\n");
    expect((await run(TRY, [])).output).toBe(
      "PERMISSION_DENIED PERMISSION_DENIED\nPERMISSION_DENIED\n",
    );
  });

  it("gets no more by its grant than its starter has", async () => {
    const client = await test.as(await test.addUser("ann", ["ManageScripts", "ExecuteScripts"]));
    await client.scripts.save({ script: "s", source: TRY });
    const { output } = await client.scripts.run({ script: "s", grant: ["UseSpaces"] });
    expect(output).toContain("PERMISSION_DENIED PERMISSION_DENIED");
  });

  it("does all that its starter may without one", async () => {
    const { output } = await run(TRY);
    expect(output).toBe("done done\nSPACE_NOT_RUNNING\n");
  });
});

describe.skipIf(!bubblewrap.usable)("a native script with a grant", () => {
  beforeEach(async () => {
    test = await openTestHost({ driver: "bubblewrap", publicUrl: "http://server:7700" });
    await test.local.spaces.create({ name: "dev" });
    await test.local.spaces.start({ space: "dev" });
  });
  const save = (source: string) => test.local.scripts.save({ script: "s", source });

  it("finds the server and a token that is valid while it runs, and shows neither to anyone", async () => {
    await save('#!/bin/sh\necho "$SPACES_URL $SPACES_TOKEN"\nprintf %s "$SPACES_TOKEN" > token\n');
    const { output } = await test.local.scripts.run({
      script: "s",
      space: "dev",
      grant: ["UseSpaces"],
    });
    expect(output).toBe("http://server:7700 ***\n");
    const { stdout: token } = await test.local.processes.run({
      space: "dev",
      command: "cat token",
    });
    expect(token).toMatch(/^spt_/);
    expect(await codeOf(test.host.engine.identity.authenticate(token))).toBe("UNAUTHENTICATED");
    expect((await test.local.tokens.list({})).items).toEqual([]);
  });

  it("can do what it was granted, makes no tokens, and sees no others", async () => {
    await test.local.tokens.create({ name: "mine" });
    await save(
      '#!/bin/sh\nprintf %s "$SPACES_TOKEN" > token.new && mv token.new token\nwhile [ ! -e done ]; do sleep 0.05; done\n',
    );
    const running = test.local.scripts.run({
      script: "s",
      space: "dev",
      grant: ["UseSpaces", "RunCommands"],
    });
    const read = async () =>
      (await test.local.processes.run({ space: "dev", command: "cat token 2>/dev/null" })).stdout;
    await expect.poll(read).toMatch(/^spt_/);
    const actor = await test.host.engine.identity.authenticate(await read());
    expect(actor.token).toMatchObject({ kind: "script", name: "s" });
    const client = await test.as(await read());
    expect((await client.system.whoami({})).permissions).toEqual(["UseSpaces", "RunCommands"]);
    expect(await codeOf(client.spaces.list({}))).toBe("none");
    expect(await codeOf(client.users.list({}))).toBe("PERMISSION_DENIED");
    expect(await codeOf(client.tokens.create({ name: "more" }))).toBe("PERMISSION_DENIED");
    const { items } = await client.tokens.list({});
    expect(items.map(({ name }) => name)).toEqual(["s"]);
    const [mine] = (await test.local.tokens.list({})).items;
    expect(await codeOf(client.tokens.revoke({ token: mine?.id ?? "" }))).toBe("TOKEN_NOT_FOUND");
    using watch = test.host.engine.identity.watch(actor);
    await test.local.processes.run({ space: "dev", command: "touch done" });
    expect((await running).exitCode).toBe(0);
    expect(watch.signal.aborted).toBe(true);
  });

  it("finds nothing without a grant", async () => {
    await save('#!/bin/sh\necho "[$SPACES_URL$SPACES_TOKEN]"\n');
    expect((await test.local.scripts.run({ script: "s", space: "dev" })).output).toBe("[]\n");
  });

  it("is refused a grant where no server is known", async () => {
    const other = await test.openAnother();
    const client = other.clientFor({ actor: test.actor, depth: 0, local: true });
    await save("#!/bin/sh\ntrue\n");
    expect(await codeOf(client.scripts.run({ script: "s", space: "dev", grant: [] }))).toBe(
      "UNSUPPORTED",
    );
  });
});
