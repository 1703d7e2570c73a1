/**
 * The module `files`: synchronous functions that read and write the files of spaces, whether these
 * run or not. Scripts import it by name; its documentation for them is `types/files.d.ts`.
 */
import { fileOperations } from "./file-operations.js";
import { createModule } from "./module.js";
import { drive, runSync, type SyncTable } from "./steps.js";

const files = createModule(
  "files",
  drive(fileOperations, runSync) as SyncTable<typeof fileOperations>,
);

export default files;

// Names of exports must be literal; `guest-types.test.ts` holds them against the declarations.
export const {
  read,
  read_bytes,
  readBytes,
  read_json,
  readJson,
  write,
  write_json,
  writeJson,
  append,
  list,
  stat,
  exists,
  mkdir,
  move,
  copy,
  remove,
  archive,
  extract,
} = files;
export { remove as delete };
