/** A gigabyte into a space and out of it: how fast, and in how much memory. */
import { join } from "node:path";
import { Contestant, withContestants } from "./contestant.mjs";
import { row } from "./harness.mjs";

const BYTES = 1024 ** 3;
/**
 * Goes through before: pieces that were sent are garbage until V8 has 32 MB of them, in every process
 * of Node. What grows beyond that would be the transfer's own.
 */
const WARMUP_BYTES = 128 * 1024 ** 2;

export async function measure({ stage, quick }) {
  const bytes = quick ? 2 * WARMUP_BYTES : BYTES;
  const start = (name) => Contestant.start("files", [stage.dist, join(stage.temp, name)]);
  const starts = { ours: start("files"), plain: start("files-plain") };
  return await withContestants(starts, async ({ ours, plain }) => {
    const rows = [];
    for (const [task, peer, what] of [
      ["upload", "plainUpload", "uploaded into a space"],
      ["download", "plainDownload", "downloaded from a space"],
    ]) {
      await ours.call(task, { bytes: WARMUP_BYTES });
      await plain.call(peer, { bytes: WARMUP_BYTES });
      const mine = await ours.call(task, { bytes });
      const other = await plain.call(peer, { bytes });
      rows.push(
        row({
          what: `files: ${bytes / 1024 ** 2} MiB ${what}`,
          unit: "MB/s",
          better: "more",
          ours: mine.rate,
          peer: { name: "plain streams with SHA-256", value: other.rate },
        }),
        row({
          what: `files: growth of the process while ${bytes / 1024 ** 2} MiB are ${what}`,
          unit: "MB",
          kind: "size",
          ours: mine.grown,
          peer: { name: "plain streams with SHA-256", value: other.grown },
          budget: { atMost: 32 },
        }),
      );
    }
    return rows;
  });
}
