/**
 * Finds out whether bubblewrap can make spaces here, by making one, and says what to do when it
 * cannot. Called by the driver's `probe`, for the choice of a driver and for `spaces doctor`.
 */
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type { ProbeResult } from "../driver.js";
import { agentProgram } from "./agent-program.js";
import { hasSpaceUids, isRoot, uidOf } from "./host-user.js";
import { launch, launchError } from "./launch.js";
import { type BubblewrapProgram, findBubblewrap } from "./program.js";
import { AGENT_PATH } from "./sandbox.js";
import { findProgram } from "./system-mounts.js";

/** Options without which no space can be made; bubblewrap has them all since 0.5. */
const NEEDED = [
  "--args",
  "--clearenv",
  "--perms",
  "--ro-bind-data",
  "--info-fd",
  "--block-fd",
  "--seccomp",
];
const TRIAL_MS = 5000;

interface Refusal {
  readonly usable: false;
  readonly reason: string;
  readonly remedy: string;
}

/** Whether spaces can be made here, and if not, why and what to do. Never throws. */
export async function probeBubblewrap(): Promise<ProbeResult> {
  try {
    return await look();
  } catch (error) {
    if (SpacesError.isInstance(error)) {
      return refusal(error.message, error.suggestion);
    }
    return refusal(
      `bubblewrap cannot be used: ${String(error)}.`,
      "Run `bwrap --version` by hand.",
    );
  }
}

async function look(): Promise<ProbeResult> {
  if (process.platform !== "linux") {
    return refusal(
      `bubblewrap needs Linux; this is ${process.platform}.`,
      "Use the docker or the virtual driver.",
    );
  }
  if (!existsSync(agentProgram())) {
    return refusal(
      `There is no guest agent for the processor ${process.arch}.`,
      "Use the virtual driver, or a machine with an x64 or arm64 processor.",
    );
  }
  const program = await findBubblewrap();
  if (program === undefined) {
    return refusal(
      "The program bwrap is not in PATH.",
      "Install it: `apt install bubblewrap`, `dnf install bubblewrap` or the like.",
    );
  }
  const missing = NEEDED.filter((option) => !program.can(option));
  if (missing.length > 0) {
    return refusal(
      `bubblewrap ${program.version} is too old: it lacks ${missing.join(", ")}.`,
      "Update bubblewrap to 0.5 or newer.",
    );
  }
  return rootRefusal() ?? (await tryOne(program)) ?? usable(program);
}

function usable({ version, can }: BubblewrapProgram): ProbeResult {
  return {
    usable: true,
    version: can("--disable-userns")
      ? version
      : `${version} (spaces can make user namespaces of their own; 0.8 forbids it)`,
  };
}

function rootRefusal(): Refusal | undefined {
  if (!isRoot()) return undefined;
  if (findProgram("setpriv", "") === undefined) {
    return refusal(
      "The program setpriv, by which root becomes another user, is missing.",
      "Install util-linux, or run spaces as an ordinary user.",
    );
  }
  if (!hasSpaceUids()) {
    return refusal(
      "This is root of a container with few users of its own, so spaces cannot have theirs.",
      "Run spaces as an ordinary user, or outside of the container.",
    );
  }
  return undefined;
}

/** Makes a space that ends at once. Gives why it cannot be made; undefined when it can. */
async function tryOne(program: BubblewrapProgram): Promise<Refusal | undefined> {
  const facts = kernelFacts();
  try {
    const launched = await launch({
      program,
      uid: isRoot() ? uidOf("", "probe") : undefined,
      hostname: "probe",
      home: "/",
      binds: [{ source: agentProgram(), target: AGENT_PATH, writable: false }],
      env: {},
      // Without arguments the agent says how it is used, and ends with this code.
      command: [AGENT_PATH],
    });
    launched.release();
    const end = await Promise.race([launched.ended, delay(TRIAL_MS, undefined, { ref: false })]);
    const complaint = launched.stderr;
    if (end === undefined) process.kill(launched.mainPid, "SIGKILL");
    launched.detach();
    if (end?.exitCode === 64) return undefined;
    throw launchError(end === undefined ? `no end within ${TRIAL_MS} ms` : complaint);
  } catch (error) {
    if (!SpacesError.isInstance(error)) throw error;
    return explainRefusal(String(error.details.reason ?? error.message), facts);
  }
}

/** What the kernel and the surroundings say about user namespaces. */
export interface KernelFacts {
  /** `kernel.unprivileged_userns_clone`, where the kernel has it. */
  readonly usernsClone: string | undefined;
  /** `user.max_user_namespaces`. */
  readonly maxUserNamespaces: string | undefined;
  /** `kernel.apparmor_restrict_unprivileged_userns`, where the kernel has it. */
  readonly appArmorRestricts: string | undefined;
  readonly inContainer: boolean;
}

function kernelFacts(): KernelFacts {
  return {
    usernsClone: sysctl("kernel/unprivileged_userns_clone"),
    maxUserNamespaces: sysctl("user/max_user_namespaces"),
    appArmorRestricts: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
    inContainer: ["/.dockerenv", "/run/.containerenv"].some((path) => existsSync(path)),
  };
}

function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, "latin1").trim();
  } catch {
    // Not every kernel has every setting.
    return undefined;
  }
}

/** Why bubblewrap failed and what to do, from what it said and what the kernel says. */
export function explainRefusal(said: string, facts: KernelFacts): Refusal {
  const reason = (text: string) => `${text} (bubblewrap says: ${said})`;
  if (facts.usernsClone === "0") {
    return refusal(
      reason("User namespaces are switched off for ordinary users."),
      "Switch them on: `sudo sysctl -w kernel.unprivileged_userns_clone=1`, and in /etc/sysctl.d for good.",
    );
  }
  if (facts.maxUserNamespaces === "0") {
    return refusal(
      reason("No user namespaces are allowed."),
      "Allow some: `sudo sysctl -w user.max_user_namespaces=15000`, and in /etc/sysctl.d for good.",
    );
  }
  if (facts.appArmorRestricts === "1") {
    return refusal(
      reason("AppArmor restricts user namespaces to programs with a profile."),
      "Give bwrap one: `sudo apt install apparmor-profiles`, then `sudo ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/` and `sudo systemctl reload apparmor`.",
    );
  }
  if (facts.inContainer) {
    return refusal(
      reason("This container may not make user namespaces or mount /proc."),
      "Start the container with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`, or use spaces outside of it.",
    );
  }
  if (/namespace/i.test(said)) {
    return refusal(
      reason("User namespaces cannot be made."),
      "Check `unshare --user --map-root-user true`, the kernel's configuration (CONFIG_USER_NS) and its security modules.",
    );
  }
  return refusal(
    `bubblewrap does not work here: ${said}.`,
    "Check that `bwrap --unshare-all --ro-bind / / true` works for this user.",
  );
}

function refusal(reason: string, remedy: string): Refusal {
  return { usable: false, reason, remedy };
}
