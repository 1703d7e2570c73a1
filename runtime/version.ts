/** The version of this package, from its `package.json`. */
import { readFileSync } from "node:fs";
import { artifactUrl } from "./artifacts.js";

interface Manifest {
  readonly version: string;
}

export const VERSION: string = (
  JSON.parse(readFileSync(artifactUrl("../package.json"), "utf8")) as Manifest
).version;
