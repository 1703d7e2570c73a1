/**
 * Pulls an image that is not there, telling in a few calm lines how far it is. Called by the driver
 * when Docker refuses to make a container for want of its image.
 */
import type { Readable } from "node:stream";
import { SpacesError } from "../../contract/errors.js";
import type { DriverCallOptions, ProgressListener } from "../driver.js";
import type { DockerEngine } from "./engine.js";
import { reasonOf } from "./errors.js";

/** A daemon that downloads says something every second or so; this long a silence is its end. */
const SILENCE_MS = 120_000;
const MEGABYTE = 1_000_000;

/**
 * Pulls an image.
 * @throws SpacesError `IMAGE_NOT_FOUND` when it cannot be had, `CANCELLED` when the signal fired.
 */
export async function pullImage(
  engine: DockerEngine,
  image: string,
  { signal, onProgress }: DriverCallOptions = {},
): Promise<void> {
  const doing = `pull image "${image}"`;
  onProgress?.(`Pulling image ${image}`);
  try {
    const stream = await engine.call(
      doing,
      async (docker, abortSignal) => (await docker.pull(image, { abortSignal })) as Readable,
      { timeoutMs: SILENCE_MS, signal },
    );
    await follow(stream, image, signal, onProgress);
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code !== "DRIVER_FAILED") throw error;
    const reason = reasonOf(error);
    throw new SpacesError(
      "IMAGE_NOT_FOUND",
      `The image "${image}" is not here and could not be pulled: ${reason}.`,
      {
        suggestion: `Check the image's name and the network, or bring it here by hand with \`docker pull ${image}\` or \`docker load\`.`,
        details: { image, reason },
        cause: error,
      },
    );
  }
  onProgress?.(`Pulled image ${image}`);
}

async function follow(
  stream: Readable,
  image: string,
  signal: AbortSignal | undefined,
  onProgress: ProgressListener | undefined,
): Promise<void> {
  const stop = () => stream.destroy();
  signal?.addEventListener("abort", stop, { once: true });
  const silence = setTimeout(stop, SILENCE_MS);
  const progress = new PullProgress(image, onProgress);
  try {
    let partial = "";
    // Throws when the stream breaks off or is destroyed.
    for await (const chunk of stream.setEncoding("utf8")) {
      silence.refresh();
      const lines = (partial + chunk).split("\n");
      partial = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") progress.see(JSON.parse(line));
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  } finally {
    clearTimeout(silence);
    signal?.removeEventListener("abort", stop);
    stream.destroy();
  }
  if (signal?.aborted === true) {
    throw new SpacesError("CANCELLED", `The pull of image "${image}" was cancelled.`);
  }
}

interface PullMessage {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** Adds up the layers of a pull, and speaks at each further tenth of what is known of it. */
class PullProgress {
  readonly #layers = new Map<string, { current: number; total: number }>();
  readonly #image: string;
  readonly #tell: ProgressListener | undefined;
  #tenth = 0;

  constructor(image: string, tell: ProgressListener | undefined) {
    this.#image = image;
    this.#tell = tell;
  }

  /** @throws Error when the message tells that the pull failed. */
  see(message: PullMessage): void {
    if (message.error !== undefined) throw new Error(message.error);
    if (message.status !== "Downloading" || message.id === undefined) return;
    const { current = 0, total = 0 } = message.progressDetail ?? {};
    this.#layers.set(message.id, { current, total });
    let done = 0;
    let all = 0;
    for (const layer of this.#layers.values()) {
      done += layer.current;
      all += layer.total;
    }
    const tenth = all === 0 ? 0 : Math.floor((done / all) * 10);
    // The sum grows while layers are still being discovered: never speak of less than before.
    if (tenth <= this.#tenth) return;
    this.#tenth = tenth;
    const size = (bytes: number) => (bytes / MEGABYTE).toFixed(1);
    this.#tell?.(`Pulling image ${this.#image}: ${size(done)} of ${size(all)} MB`);
  }
}
