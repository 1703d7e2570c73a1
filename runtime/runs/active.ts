/** The runs that this process records, by their id: who looks for one need not go to its journal. */
import type { RunRecorder } from "./recorder.js";

const active = new Map<string, RunRecorder>();

export function addActive(recorder: RunRecorder): void {
  active.set(recorder.id, recorder);
}

export function removeActive(recorder: RunRecorder): void {
  active.delete(recorder.id);
}

/** The recorder of a run that this process records below a data directory. */
export function activeRun(dataDir: string, id: string): RunRecorder | undefined {
  const recorder = active.get(id);
  return recorder?.dataDir === dataDir ? recorder : undefined;
}
