/**
 * The module `files/async`: the functions of `files`, each returning a promise. Scripts import it to
 * read and write several files at once; its documentation is `types/files-async.d.ts`.
 */
import { fileOperations } from "./file-operations.js";
import { createModule } from "./module.js";
import { type AsyncTable, drive, runAsync } from "./steps.js";

const files = createModule(
  "files",
  drive(fileOperations, runAsync) as AsyncTable<typeof fileOperations>,
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
