/**
 * Large files going into a space and out of it, beside plain streams of Node that hash as well. Its
 * arguments are the stage's `dist` and a data directory.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { answerTasks } from "../contestant.mjs";
import { loadFrom } from "../stage.mjs";

const [dist, dataDir] = process.argv.slice(2);
const CHUNK = new Uint8Array(256 * 1024).fill(97);

await mkdir(dataDir, { recursive: true });
const plain = join(dataDir, "plain");
const { openBinding } = await loadFrom(dist, "index");
const { client } = await openBinding({ binding: "local", driver: "virtual", dataDir });
const { id: space } = await client.spaces.create({ name: "files" });

function streamOf(bytes) {
  let left = bytes;
  return new ReadableStream(
    {
      pull(controller) {
        if (left <= 0) return controller.close();
        controller.enqueue(CHUNK);
        left -= CHUNK.length;
      },
    },
    { highWaterMark: 0 },
  );
}

async function* hashed(stream) {
  const hash = createHash("sha256");
  for await (const chunk of stream) {
    hash.update(chunk);
    yield chunk;
  }
  hash.digest();
}

async function drain(stream) {
  for await (const chunk of stream) void chunk;
}

/** MB/s of a transfer, and by how many MB the process grew at most. */
async function transfer(bytes, work) {
  const before = process.memoryUsage.rss();
  let peak = before;
  const watching = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 5);
  const start = performance.now();
  await work();
  clearInterval(watching);
  const rate = bytes / 1e6 / ((performance.now() - start) / 1000);
  return { rate, grown: (peak - before) / 1e6 };
}

answerTasks({
  upload: ({ bytes }) =>
    transfer(bytes, () =>
      client.files.upload({ params: { space }, query: { path: "large" }, body: streamOf(bytes) }),
    ),
  download: ({ bytes }) =>
    transfer(bytes, async () =>
      drain((await client.files.download({ space, path: "large" })).body),
    ),
  plainUpload: ({ bytes }) =>
    transfer(bytes, () =>
      pipeline(Readable.fromWeb(streamOf(bytes)), hashed, createWriteStream(plain)),
    ),
  /** Twice, as who tells the hash before the bytes must. */
  plainDownload: ({ bytes }) =>
    transfer(bytes, async () => {
      await drain(hashed(createReadStream(plain)));
      await drain(hashed(createReadStream(plain)));
    }),
});
