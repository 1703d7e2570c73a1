/** Failed jobs of real servers are told to a real receiver: once, also where two servers share a store. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AgentSpaces } from "../../runtime/sdk/agent-spaces.js";
import { CliHome } from "../support/cli.js";
import { ServedProcess } from "../support/server-process.js";
import { isSigned, openReceiver, type WebhookReceiver } from "../support/webhook-receiver.js";

const SECRET = "a secret of the receiver";

let receiver: WebhookReceiver;
beforeAll(async () => {
  receiver = await openReceiver();
});
afterAll(() => receiver[Symbol.asyncDispose]());

describe("two servers on one store", () => {
  let dataDir: string;
  let servers: ServedProcess[];
  let client: AgentSpaces;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "spaces-notify-"));
    const options = { dataDir, driver: "virtual", flags: ["--webhook-host", receiver.host] };
    const first = await ServedProcess.start(options);
    servers = [first, await ServedProcess.start(options)];
    client = new AgentSpaces({ url: first.url, token: first.adminToken });
  });
  afterAll(async () => {
    await client.close();
    for (const server of servers) await server[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  it("tell of each failed job once", async () => {
    await client.scripts.save("broken", 'throw new Error("no room")');
    const webhook = { url: receiver.url, secret: SECRET };
    for (const name of ["a", "b", "c", "d"]) {
      await client.schedules.add(name, {
        ...{ cron: "* * * * * *", script: "broken", overlap: "allow", notify: { webhook } },
      });
    }
    await expect
      .poll(() => receiver.received.length, { timeout: 60_000 })
      .toBeGreaterThanOrEqual(20);
    const failed: string[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      await client.schedules.pause(name);
      await expect
        .poll(async () => {
          const jobs = await client.schedules.history(name, { limit: 1000 });
          return jobs.filter(
            ({ status, notification }) =>
              ["pending", "running"].includes(status) || notification?.status === "pending",
          );
        })
        .toEqual([]);
      for (const { id, status, notification } of await client.schedules.history(name)) {
        if (status !== "failed") continue;
        expect(notification).toEqual({ status: "sent" });
        failed.push(`${id}.1`);
      }
    }
    const told = receiver.received.map(({ headers }) => String(headers["spaces-delivery"]));
    expect(told.sort()).toEqual(failed.sort());
    for (const message of receiver.received) {
      expect(isSigned(message, SECRET)).toBe(true);
      expect(JSON.parse(message.body)).toMatchObject({
        event: "job.failed",
        error: { code: "SCRIPT_FAILED", message: expect.stringContaining("no room") },
      });
    }
  });

  it("are asked by the doctor for schedules that fail", async () => {
    await using home = await CliHome.make();
    const [{ url, adminToken } = { url: "", adminToken: "" }] = servers;
    const env = { SPACES_URL: url, SPACES_TOKEN: adminToken };
    const found = await home.run(["doctor"], { env });
    expect(found.code).toBe(0);
    expect(found.stdout).toMatch(/^no {2}schedule a\n +Its last \d+ jobs failed: .*no room/m);
    // Whoever may not see schedules is told of none.
    const { token } = await client.tokens.create({ name: "less", scope: ["UseSpaces"] });
    const less = await home.run(["doctor"], { env: { ...env, SPACES_TOKEN: token } });
    expect(less.code).toBe(0);
    expect(less.stdout).not.toContain("schedule");
  });

  it("refuse a receiver that nobody allowed", async () => {
    await using other = await openReceiver();
    const notify = { webhook: { url: other.url } };
    await client.schedules.add("refused", {
      ...{ cron: "@yearly", script: "broken", paused: true, notify },
    });
    await client.schedules.run("refused");
    await expect
      .poll(async () => (await client.schedules.history("refused"))[0]?.notification)
      .toEqual({
        status: "pending",
        error: expect.stringContaining(`--webhook-host ${other.host}`),
      });
    expect(other.received).toEqual([]);
  });
});

describe("a tick", () => {
  it("tells of what failed, to hosts that the environment allows", async () => {
    await using home = await CliHome.make();
    const script = await home.write("broken.ts", 'throw new Error("no room")');
    await home.json(["scripts", "save", script]);
    const add = ["schedules", "add", "failing", "--cron", "@yearly", "--script", "broken"];
    await home.json([...add, "--notify-url", receiver.url]);
    const before = receiver.received.length;
    await home.run(["schedules", "run", "failing"]);
    const env = { SPACES_WEBHOOK_HOSTS: `ci.example.org, ${receiver.host}` };
    expect((await home.run(["schedules", "tick"], { env })).code).toBe(1);
    expect(receiver.received).toHaveLength(before + 1);
    expect(receiver.received.at(-1)?.headers).not.toHaveProperty("spaces-signature");
  });
});

describe("spaces serve --webhook-host", () => {
  it.each(["http://ci.local", "a b", "", "ci.local:99999"])("refuses %j", async (host) => {
    await using home = await CliHome.make();
    const result = await home.run(["serve", "--port", "0", "--webhook-host", host]);
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toContain("--webhook-host");
  });
});
