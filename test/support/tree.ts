/** Describes a directory with all that is in it, so that two can be compared. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

export interface TreeItem {
  readonly mode: string;
  readonly mtime: string;
  /** SHA-256 of a file, or where a symlink points to. */
  readonly content?: string;
}

/**
 * Everything below a directory by its path, ordered by path.
 * @param times how exactly times are told: `none` where they may differ
 */
export function treeOf(
  root: string,
  times: "exact" | "seconds" | "none" = "exact",
): Record<string, TreeItem> {
  const tree: Record<string, TreeItem> = {};
  const visit = (prefix: string): void => {
    for (const name of readdirSync(join(root, prefix)).sort()) {
      const path = prefix === "" ? name : `${prefix}/${name}`;
      const host = join(root, path);
      const stats = lstatSync(host, { bigint: true });
      const exact = stats.mtimeNs / 1000n;
      tree[path] = {
        mode: (Number(stats.mode) & 0o170777).toString(8),
        mtime: times === "none" ? "" : String(times === "exact" ? exact : exact / 1_000_000n),
        ...(stats.isSymbolicLink() ? { content: readlinkSync(host) } : {}),
        ...(stats.isFile()
          ? { content: createHash("sha256").update(readFileSync(host)).digest("hex") }
          : {}),
      };
      if (stats.isDirectory()) visit(path);
    }
  };
  visit("");
  return tree;
}
