/**
 * The arguments of bubblewrap: what a space may see and do. Used by the launcher, also for the
 * probe, so that what was probed is what is run.
 */
import type { BubblewrapProgram } from "./program.js";
import { directoryArguments, systemMounts } from "./system-mounts.js";

/** Where the driver's own things are inside of a space. */
const OWN = "/.spaces";
export const AGENT_PATH = `${OWN}/guest`;
export const RUN_PATH = `${OWN}/run`;

/** Who a space's processes are to themselves. */
export const INNER_USER = { uid: 1000, gid: 1000, name: "user" } as const;

/** Temporary files are memory; without a bound a space could take all of it. */
const TMP_BYTES = 1024 ** 3;
const SHM_BYTES = 256 * 1024 ** 2;
const RUN_BYTES = 16 * 1024 ** 2;
const HOST_NAME_BYTES = 63;

/** Where the stage has what the space gets: a place that any user can reach. */
const STAGE = "/stage";
export const STAGED_BUBBLEWRAP = `${STAGE}/bwrap`;

export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

export interface SandboxRequest {
  readonly hostname: string;
  /** Home directory of the space's user, which need not exist. */
  readonly home: string;
  readonly binds: readonly Bind[];
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors from which bubblewrap reads the contents of files, by their path. */
  readonly dataFds: ReadonlyMap<string, number>;
  /** Descriptor from which bubblewrap reads the filter of system calls. */
  readonly seccompFd: number | undefined;
}

/** The texts of the files in `/etc` that are made for the space. */
export function madeFiles(hostname: string, home: string): Map<string, string> {
  const { uid, gid, name } = INNER_USER;
  return new Map([
    [
      "/etc/passwd",
      `root:x:0:0:root:/:/usr/sbin/nologin\n${name}:x:${uid}:${gid}:${name}:${home}:/bin/sh\n` +
        "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    ],
    ["/etc/group", `root:x:0:\n${name}:x:${gid}:\nnogroup:x:65534:\n`],
    ["/etc/hosts", `127.0.0.1 localhost ${hostname}\n::1 localhost ip6-localhost\n`],
    ["/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\n"],
  ]);
}

/** A space's name in the form of a host name. */
export function hostNameOf(spaceName: string): string {
  return spaceName.slice(0, HOST_NAME_BYTES) || "space";
}

/** The arguments that make the sandbox itself, before `--` and the program. */
export function sandboxArguments(program: BubblewrapProgram, request: SandboxRequest): string[] {
  const tmpfs = (path: string, mode: string, bytes: number) => [
    ...["--perms", mode],
    ...(program.can("--size") ? ["--size", String(bytes)] : []),
    ...["--tmpfs", path],
  ];
  const { uid, gid } = INNER_USER;
  return [
    ...["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net"],
    "--unshare-cgroup-try",
    ...(program.can("--disable-userns") ? ["--disable-userns"] : []),
    ...["--uid", String(uid), "--gid", String(gid), "--cap-drop", "ALL"],
    ...["--hostname", request.hostname, "--as-pid-1", "--chdir", "/"],
    ...(request.seccompFd === undefined ? [] : ["--seccomp", String(request.seccompFd)]),
    "--clearenv",
    ...Object.entries(request.env).flatMap(([name, value]) => ["--setenv", name, value]),
    ...systemMounts(),
    ...[...request.dataFds].flatMap(([path, fd]) => [
      ...["--perms", "0444", "--ro-bind-data", String(fd), path],
    ]),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...tmpfs("/dev/shm", "1777", SHM_BYTES),
    ...tmpfs("/tmp", "1777", TMP_BYTES),
    ...tmpfs("/run", "0755", RUN_BYTES),
    ...directoryArguments("/var"),
    ...["--symlink", "/run", "/var/run", "--symlink", "/tmp", "/var/tmp"],
    ...directoryArguments(OWN),
    ...request.binds.flatMap(bindArguments),
    ...["--remount-ro", "/dev", "--remount-ro", "/"],
  ];
}

function bindArguments({ source, target, writable }: Bind): string[] {
  return [writable ? "--bind" : "--ro-bind", source, target];
}

/** A mount namespace in which an unprivileged user finds what only root can reach on the host. */
export interface Stage {
  readonly arguments: readonly string[];
  /** The binds, from where the stage has them. */
  readonly binds: readonly Bind[];
}

/**
 * Root's first step: a space's user cannot enter the data directory, so its parts are put where
 * that user can reach them, in a mount namespace that nobody else is in and that ends with the space.
 */
export function stageFor(program: BubblewrapProgram, binds: readonly Bind[]): Stage {
  const staged = binds.map((bind, index) => ({ ...bind, source: `${STAGE}/${index}` }));
  return {
    binds: staged,
    arguments: [
      ...systemMounts(),
      // The inner bubblewrap makes its new root on /tmp and a /proc of its own from this one.
      ...["--bind", "/proc", "/proc", "--dev", "/dev"],
      ...[...directoryArguments("/tmp"), ...directoryArguments(STAGE)],
      ...binds.flatMap(({ source, writable }, index) =>
        bindArguments({ source, target: `${STAGE}/${index}`, writable }),
      ),
      ...(program.path.startsWith("/usr/") ? [] : ["--ro-bind", program.path, STAGED_BUBBLEWRAP]),
      ...["--remount-ro", "/", "--chdir", "/"],
    ],
  };
}
