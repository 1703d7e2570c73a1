/**
 * Numbers of the guest agent's protocol, as `protocol.md` and `agent/guest.h` have them. Used by the
 * other files of this folder.
 */

export const PROTOCOL_VERSION = 1;
export const TOKEN_BYTES = 32;
export const NONCE_BYTES = 16;
export const PROCESS_ID_BYTES = 16;

/** Frames of the host. */
export const Request = {
  ping: 0x01,
  spawn: 0x02,
  attach: 0x03,
  detach: 0x04,
  credit: 0x05,
  stdin: 0x06,
  closeStdin: 0x07,
  signal: 0x08,
  kill: 0x09,
  resize: 0x0a,
  list: 0x0b,
  release: 0x0c,
  connect: 0x10,
  listen: 0x11,
  unlisten: 0x12,
  data: 0x13,
  channelCredit: 0x14,
  eof: 0x15,
  reset: 0x16,
  bye: 0x1e,
  shutdown: 0x1f,
} as const;

/** Frames of the guest. */
export const Answer = {
  pong: 0x81,
  spawned: 0x82,
  spawnError: 0x83,
  attached: 0x84,
  output: 0x85,
  streamEnd: 0x86,
  exit: 0x87,
  gone: 0x88,
  stdinCredit: 0x89,
  stdinClosed: 0x8a,
  ok: 0x8b,
  error: 0x8c,
  killed: 0x8d,
  process: 0x8e,
  listEnd: 0x8f,
  connected: 0x90,
  netError: 0x91,
  listening: 0x92,
  accepted: 0x93,
  data: 0x94,
  channelCredit: 0x95,
  eof: 0x96,
  reset: 0x97,
  protocolError: 0x9f,
} as const;

export const SpawnFlag = { detached: 1, stdin: 2, pty: 4, user: 8, unattached: 16 } as const;
export const AttachFlag = { stdin: 1, follow: 2 } as const;
export const Fault = { cwd: 1, program: 2, interpreter: 3, user: 4, agent: 5 } as const;
export const ExitKind = { code: 1, signal: 2, lost: 3 } as const;

/** Numbers of channels that the guest has accepted have this bit, those of the host do not. */
export const ACCEPTED_BIT = 0x8000_0000;

export const LIMITS = {
  /** Longest payload of a SPAWN. */
  spawnBytes: 2304 * 1024,
  /** Longest payload that a guest may send. */
  answerBytes: 128 * 1024,
  /** Bytes of one DATA or STDIN frame; smaller than allowed, so that streams take turns. */
  chunkBytes: 64 * 1024,
  /** What either side may have under way on one stream without a new grant. */
  windowBytes: 256 * 1024,
  channels: 8192,
  listedProcesses: 4096,
  /** Bytes that a re-attached stream may carry before the answer to our HELLO. */
  strayBytes: 8 * 1024 * 1024,
  /** A guest that reads nothing must not fill the host's memory. */
  unsentBytes: 64 * 1024 * 1024,
} as const;

const SIGNAL_NAMES = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP " +
  "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/** The name of a Linux signal number, such as `SIGTERM`; the guest's, not this machine's. */
export function signalName(number: number): string {
  const name = SIGNAL_NAMES[number - 1];
  return name === undefined ? `SIG${number}` : `SIG${name}`;
}

/** The number of a Linux signal by its name, with or without `SIG`; undefined for others. */
export function signalNumber(name: string): number | undefined {
  const index = SIGNAL_NAMES.indexOf(name.toUpperCase().replace(/^SIG/, ""));
  return index < 0 ? undefined : index + 1;
}

const ERRNO_NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  5: "EIO",
  7: "E2BIG",
  8: "ENOEXEC",
  10: "ECHILD",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  16: "EBUSY",
  17: "EEXIST",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  25: "ENOTTY",
  26: "ETXTBSY",
  28: "ENOSPC",
  36: "ENAMETOOLONG",
  40: "ELOOP",
  80: "ELIBBAD",
  87: "EUSERS",
  95: "EOPNOTSUPP",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  101: "ENETUNREACH",
  104: "ECONNRESET",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
};

/** The name of a Linux error number, such as `ENOENT`. */
export function errnoName(number: number): string {
  return ERRNO_NAMES[number] ?? `errno ${number}`;
}
