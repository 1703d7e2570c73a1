/**
 * The main process of a container without the guest agent: a program that only waits, so that the
 * space runs until it is stopped. It is written next to the space's state and mounted, because an image may be without
 * `sleep` or even without a shell; called by the driver when it creates and starts containers.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { placeProgram } from "./agent-place.js";

/** Where the keeper appears in the container. */
export const KEEPER_PATH = "/.spaces/keeper";

interface Machine {
  /** The ELF number of the architecture. */
  readonly elf: number;
  /** Waits for a signal in an endless loop; no libraries, no stack, no memory. */
  readonly code: readonly number[];
}

const MACHINES: Readonly<Record<string, Machine>> = {
  // mov eax, 34 (pause); syscall; jmp back
  x86_64: { elf: 62, code: [0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7] },
  // x0..x4 = 0; x8 = 73 (ppoll); svc 0; branch back
  aarch64: {
    elf: 183,
    code: words(
      0xd2800000,
      0xd2800001,
      0xd2800002,
      0xd2800003,
      0xd2800004,
      0xd2800928,
      0xd4000001,
      0x17fffff9,
    ),
  },
};

/** The command of a container, and the host file to mount at `KEEPER_PATH` if it needs one. */
export interface Keeper {
  readonly command: string[];
  readonly file: string | undefined;
}

/**
 * Makes sure that the space's keeper is in its state directory.
 * @param architecture the daemon's architecture as its kernel names it, such as `x86_64`. The keeper is a program of the
 *   kernel, not of the image, so the image's architecture does not matter.
 */
export async function ensureKeeper(stateDir: string, architecture: string): Promise<Keeper> {
  const machine = MACHINES[architecture];
  // Elsewhere the image has to bring a program that waits.
  if (machine === undefined) return { command: ["tail", "-f", "/dev/null"], file: undefined };
  const file = join(stateDir, `keeper-${architecture}`);
  const program = elfProgram(machine);
  const size = await stat(file).then(
    (found) => found.size,
    () => undefined,
  );
  if (size !== program.length) {
    await placeProgram(file, program);
  }
  return { command: [KEEPER_PATH], file };
}

/** A static ELF executable with one segment: the headers and the code behind them. */
function elfProgram(machine: Machine): Buffer {
  const headers = 64 + 56;
  const base = 0x400000;
  const program = Buffer.alloc(headers + machine.code.length);
  program.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  program.writeUInt16LE(2, 16); // executable
  program.writeUInt16LE(machine.elf, 18);
  program.writeUInt32LE(1, 20);
  program.writeBigUInt64LE(BigInt(base + headers), 24); // entry point
  program.writeBigUInt64LE(64n, 32); // program headers start here
  program.writeUInt16LE(64, 52);
  program.writeUInt16LE(56, 54);
  program.writeUInt16LE(1, 56);
  program.writeUInt32LE(1, 64); // a segment to load,
  program.writeUInt32LE(5, 68); // readable and executable
  program.writeBigUInt64LE(BigInt(base), 80);
  program.writeBigUInt64LE(BigInt(base), 88);
  program.writeBigUInt64LE(BigInt(program.length), 96);
  program.writeBigUInt64LE(BigInt(program.length), 104);
  program.writeBigUInt64LE(0x10000n, 112);
  program.set(machine.code, headers);
  return program;
}

function words(...values: number[]): number[] {
  return values.flatMap((value) => [
    value & 0xff,
    (value >>> 8) & 0xff,
    (value >>> 16) & 0xff,
    value >>> 24,
  ]);
}
