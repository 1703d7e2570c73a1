/** Gives everyone who follows a process a hold on it, shared where it can be. Used by the agent connection. */
import type { AttachedProcess } from "./driver.js";
import { type Position, SharedAttachment } from "./shared-attachment.js";

/** Takes a hold on a process's output from a position on. */
type Open = (id: string, from: Position) => Promise<AttachedProcess>;

export class Followers {
  readonly #open: Open;
  readonly #shared = new Map<string, Set<Promise<SharedAttachment>>>();

  constructor(open: Open) {
    this.#open = open;
  }

  /** Follows a process. @throws what opening a hold does, where none can be shared */
  async follow(id: string, from: Position): Promise<AttachedProcess> {
    const shared = this.#shared.get(id) ?? new Set();
    this.#shared.set(id, shared);
    // Those that are added meanwhile are visited too: of many at once only the first opens one.
    for (const opened of shared) {
      // One that could not be opened has told so to who wanted it first.
      const follower = (await opened.catch(() => undefined))?.follow(from);
      if (follower !== undefined) return follower;
    }
    const forget = () => {
      shared.delete(opened);
      if (shared.size === 0 && this.#shared.get(id) === shared) this.#shared.delete(id);
    };
    let lost: AttachedProcess["lost"] = { stdout: 0, stderr: 0 };
    const open = async () => {
      const source = await this.#open(id, from);
      lost = source.lost;
      return new SharedAttachment(source, behind(from, lost), forget);
    };
    const opened = open();
    shared.add(opened);
    // A set that has become empty meanwhile is no longer the one that others find.
    this.#shared.set(id, shared);
    try {
      const follower = (await opened).follow(behind(from, lost));
      // Others may have come and gone before this one.
      return follower === undefined ? await this.follow(id, from) : { ...follower, lost };
    } catch (error) {
      forget();
      throw error;
    }
  }
}

function behind(from: Position, lost: Position): Position {
  return { stdout: from.stdout + lost.stdout, stderr: from.stderr + lost.stderr };
}
