/** The name of the operating system's user, which is also its id. Loads nothing: `spaces run` needs it. */
import { userInfo } from "node:os";

/** Its id is its name, as it was before there were users: spaces made then stay its own. */
export function localUserName(): string {
  return userInfo().username;
}
