/** Where the guest agent for this machine's processor is. Used by the driver when it starts a space. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { artifactUrl } from "../../artifacts.js";

/**
 * The file of the agent, which need not exist: there is none for other processors. It lies among the
 * built files; tests may run before it was copied there, and find it where it is kept.
 */
export function agentProgram(): string {
  const name = `guest-linux-${process.arch}`;
  const built = fileURLToPath(artifactUrl(name));
  if (existsSync(built)) return built;
  return fileURLToPath(new URL(`../../guest/bin/${name}`, import.meta.url));
}
