/** Builds `dist/` once before the tests: workers and the CLI run from there. */
import { execFileSync } from "node:child_process";

export default function setup(): void {
  execFileSync(process.execPath, ["tools/build.mjs"], { stdio: "inherit" });
}
