/**
 * The bubblewrap driver as a program: does one thing, prints the outcome as a line of JSON. Bundled
 * and run by tests that need another process or another user.
 */
import { createBubblewrapDriver } from "./bubblewrap-driver.js";
import type { DriverProgramRequest } from "./test-space.js";

const request = JSON.parse(process.argv[2] ?? "") as DriverProgramRequest;
const { action, space } = request;
const driver = createBubblewrapDriver(request);

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = "";
  for await (const chunk of stream) all += chunk.toString("utf8");
  return all;
}

async function run(): Promise<unknown> {
  await driver.start(space);
  await using connection = await driver.connect(space);
  const guest = await connection.spawn({ argv: ["bash", "-c", request.script ?? ""], env: {} });
  const [stdout, stderr] = await Promise.all([text(guest.stdout), text(guest.stderr)]);
  return { ...(await guest.exit), stdout, stderr };
}

async function act(): Promise<unknown> {
  switch (action) {
    case "start":
    case "hold":
      await driver.start(space);
      return "started";
    case "run":
      return run();
    case "stop":
      await driver.stop(space);
      return "stopped";
    case "destroy":
      await driver.destroy(space.id);
      return "destroyed";
    case "inspect":
      return (await driver.inspect(space.id)) ?? null;
    case "features":
      return { ...driver.features, probe: await driver.probe() };
  }
}

const outcome = await act().catch((error: unknown) => ({ error: String(error) }));
process.stdout.write(`${JSON.stringify(outcome)}\n`);
if (action === "hold") setInterval(() => undefined, 60_000);
