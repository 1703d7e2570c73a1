/**
 * The system calls that a space may not make, as a filter that the kernel runs: those that reach
 * what no namespace divides (keys, tracing, modules) or that have let programs out of containers
 * before. Used by the launcher. The rest is kept in by the namespaces.
 */

/** System calls by their numbers on each architecture that the kernel knows by this number. */
interface Architecture {
  /** As `linux/audit.h` has it. */
  readonly audit: number;
  readonly denied: readonly number[];
  /** Numbers from here on are another way to make the same calls. */
  readonly aliasFrom?: number;
}

/*
 * In this order: add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, init_module,
 * finit_module, delete_module, kexec_load, open_by_handle_at, io_uring_setup, kexec_file_load.
 */
const X64: Architecture = {
  audit: 0xc000_003e,
  denied: [248, 249, 250, 321, 298, 323, 175, 313, 176, 246, 304, 425, 320],
  aliasFrom: 0x4000_0000,
};
const X86: Architecture = {
  audit: 0x4000_0003,
  denied: [286, 287, 288, 357, 336, 374, 128, 350, 129, 283, 342, 425],
};
const ARM64: Architecture = {
  audit: 0xc000_00b7,
  denied: [217, 218, 219, 280, 241, 282, 105, 273, 106, 104, 265, 425, 294],
};
const ARM: Architecture = {
  audit: 0x4000_0028,
  denied: [309, 310, 311, 386, 364, 388, 128, 379, 129, 347, 371, 425, 401],
};

/** What programs on this machine may be built for: its own architecture and the 32-bit one of it. */
const ARCHITECTURES: Readonly<Record<string, readonly Architecture[]>> = {
  x64: [X64, X86],
  arm64: [ARM64, ARM],
};

// Instructions of the kernel's packet filter, as `linux/bpf_common.h` has them.
const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_AT_LEAST = 0x35;
const RETURN = 0x06;
const NUMBER_OFFSET = 0;
const ARCHITECTURE_OFFSET = 4;
const ALLOW = 0x7fff_0000;
const EPERM = 1;
const REFUSE = 0x0005_0000 | EPERM;

interface Instruction {
  readonly code: number;
  readonly value: number;
  /** Where to go on: how many instructions to skip, or to the refusal at the end. */
  readonly ifTrue?: number | "refuse";
  readonly ifFalse?: number;
}

/** The filter in the kernel's form; undefined for processors that the driver is not made for. */
export function seccompFilter(architecture: string = process.arch): Buffer | undefined {
  const known = ARCHITECTURES[architecture];
  if (known === undefined) return undefined;
  const program: Instruction[] = [
    { code: LOAD, value: ARCHITECTURE_OFFSET },
    ...known.flatMap((one) => {
      const block = checksOf(one);
      return [{ code: JUMP_IF_EQUAL, value: one.audit, ifFalse: block.length }, ...block];
    }),
    { code: RETURN, value: REFUSE },
  ];
  return Buffer.concat(program.map((instruction, index) => encode(instruction, index, program)));
}

function checksOf({ denied, aliasFrom }: Architecture): Instruction[] {
  return [
    { code: LOAD, value: NUMBER_OFFSET },
    ...(aliasFrom === undefined
      ? []
      : [{ code: JUMP_IF_AT_LEAST, value: aliasFrom, ifTrue: "refuse" as const }]),
    ...denied.map((value) => ({ code: JUMP_IF_EQUAL, value, ifTrue: "refuse" as const })),
    { code: RETURN, value: ALLOW },
  ];
}

function encode(instruction: Instruction, index: number, program: readonly Instruction[]): Buffer {
  const { code, value, ifTrue = 0, ifFalse = 0 } = instruction;
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue === "refuse" ? program.length - index - 2 : ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
