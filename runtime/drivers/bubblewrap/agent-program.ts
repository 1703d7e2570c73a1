/** Where the guest agent for this machine's processor is. Used by the driver and its probe. */
import { fileURLToPath } from "node:url";
import { artifactUrl } from "../../artifacts.js";

/** The file of the agent, which need not exist: there is none for some processors. */
export function agentProgram(): string {
  return fileURLToPath(artifactUrl(`guest/guest-linux-${process.arch}`));
}
