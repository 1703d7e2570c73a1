/** Checks the lines of a journal: whoever can write files of the data directory may have written them. */
import { z } from "zod";
import { runCallSchema, runSchema } from "../contract/runs.js";
import type { JournalLine } from "./lines.js";

const at = z.number().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const lineSchema = z.discriminatedUnion("t", [
  z.object({
    t: z.literal("start"),
    v: z.literal(1),
    holder: z.string(),
    altered: z.union([z.literal(0), z.literal(1)]),
    run: runSchema
      .pick({
        id: true,
        args: true,
        input: true,
        actor: true,
        binding: true,
        url: true,
        trigger: true,
        space: true,
        permissions: true,
        limits: true,
      })
      .extend({
        script: runSchema.shape.script.extend({ sha256 }),
        startedAt: z.iso.datetime(),
      }),
  }),
  z.object({
    t: z.literal("out"),
    at,
    s: z.enum(["stdout", "stderr"]),
    text: z.string(),
    marker: z.literal(true).optional(),
  }),
  z.object({
    t: z.literal("call"),
    at,
    seq: z.int().min(1),
    procedure: z.string(),
    input: z.string(),
  }),
  z.object({
    t: z.literal("done"),
    at,
    seq: z.int().min(1),
    outcome: runCallSchema.shape.outcome,
    ms: at,
  }),
  z.object({
    t: z.literal("target"),
    at,
    binding: runSchema.shape.binding,
    url: z.string().optional(),
  }),
  z.object({ t: z.literal("module"), at, path: z.string(), known: z.string().optional(), sha256 }),
  z.object({
    t: z.literal("end"),
    status: runSchema.shape.status.exclude(["running"]),
    endedAt: z.iso.datetime(),
    durationMs: at,
    exitCode: z.int().optional(),
    error: runSchema.shape.error,
    limitsHit: runSchema.shape.limitsHit,
    calls: z.int().min(0),
  }),
]);

/** A line of a journal; undefined for what is none, such as one that was cut off. */
export function parseLine(text: string): JournalLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return lineSchema.safeParse(value).data as JournalLine | undefined;
}
