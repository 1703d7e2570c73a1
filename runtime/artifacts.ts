/**
 * Where the built files are that cannot be bundled into the caller: worker threads and texts. The
 * same code runs from `dist/` (built) and from the sources (tests), which use the built files too.
 */
const here = import.meta.url;
const built = /\/dist\/(chunks\/)?[^/]+$/.test(here)
  ? new URL(here.includes("/dist/chunks/") ? "../" : "./", here)
  : new URL("../dist/", here);

/** The URL of a built file, such as `interpreter-worker.cjs`. */
export function artifactUrl(name: string): URL {
  return new URL(name, built);
}
