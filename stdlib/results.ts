/**
 * What the host answers, and the form that scripts see: known properties in snake_case, keys that
 * users chose (environment, metadata, fields) untouched.
 */

/** A space as the host describes it. */
export interface HostSpace {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly template: string;
  readonly description: string;
  readonly shell: string;
  readonly status: string;
  readonly activity?: string;
  readonly isRunning: boolean;
  readonly driver: string;
  readonly env: object;
  readonly metadata: object;
  readonly fields: object;
  readonly createdAt: unknown;
  readonly updatedAt: unknown;
  readonly expiresAt?: unknown;
  readonly startedAt?: unknown;
  readonly lastError?: unknown;
  readonly lastActiveAt?: unknown;
  readonly image?: string;
  readonly workdir?: string;
  readonly workspace?: string;
}

/** A finished command as the host describes it. */
export interface HostCommand {
  readonly exitCode: number;
  readonly signal?: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly output: string;
  readonly truncated: boolean;
  readonly timedOut: boolean;
  readonly durationMs: number;
}

/** A custom field as the host describes it. */
export interface HostField {
  readonly name: string;
  readonly description: string;
  readonly secret: boolean;
  readonly value: string;
  readonly isSet: boolean;
}

/** A finished script as the host describes it. */
export interface HostScript {
  readonly exitCode: number;
  readonly output: string;
  readonly truncated: boolean;
  readonly durationMs: number;
  readonly error?: { readonly code: string; readonly message: string; readonly details?: object };
}

/** Leaves out what is not there, so that a shown object has no empty lines. */
function present<Optional extends object>(members: Optional): Partial<Optional> {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<Optional>;
}

/** The host's description of a space, for scripts. */
export function spaceForScript(space: HostSpace) {
  return {
    name: space.name,
    id: space.id,
    is_running: space.isRunning,
    description: space.description,
    status: space.status,
    template: space.template,
    driver: space.driver,
    shell: space.shell,
    owner: space.owner,
    env: space.env,
    metadata: space.metadata,
    fields: space.fields,
    created_at: space.createdAt,
    updated_at: space.updatedAt,
    ...present({
      activity: space.activity,
      image: space.image,
      workdir: space.workdir,
      workspace: space.workspace,
      expires_at: space.expiresAt,
      started_at: space.startedAt,
      last_active_at: space.lastActiveAt,
      last_error: space.lastError,
    }),
  };
}

/** The host's description of a command, for scripts. */
export function commandForScript(command: HostCommand) {
  return {
    exit_code: command.exitCode,
    ...present({ signal: command.signal }),
    stdout: command.stdout,
    stderr: command.stderr,
    output: command.output,
    truncated: command.truncated,
    timed_out: command.timedOut,
    duration_ms: command.durationMs,
  };
}

/** A port forward as the host describes it. */
export interface HostForward {
  /** Absent where the host itself listens. */
  readonly source?: object;
  readonly localPort: number;
  readonly remote: { readonly name: string };
  readonly remotePort: number;
}

/** The host's description of a forward, for scripts. */
export function forwardForScript(forward: HostForward) {
  return {
    local_port: forward.localPort,
    space: forward.remote.name,
    remote_port: forward.remotePort,
  };
}

/** The host's description of a field, for scripts. */
export function fieldForScript(field: HostField) {
  return {
    name: field.name,
    description: field.description,
    secret: field.secret,
    value: field.value,
    is_set: field.isSet,
  };
}

/** A file as the host describes it. */
export interface HostFile {
  readonly name: string;
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly mode: number;
  readonly modifiedAt: string;
  readonly target?: string;
  readonly sha256?: string;
}

/** The host's description of a file, for scripts. */
export function fileForScript(file: HostFile) {
  return {
    name: file.name,
    path: file.path,
    type: file.type,
    size: file.size,
    mode: file.mode,
    modified_at: file.modifiedAt,
    ...present({ target: file.target, sha256: file.sha256 }),
  };
}

/** A job of a schedule as the host describes it. */
export interface HostJob {
  readonly id: string;
  readonly schedule: string;
  readonly dueAt: string;
  readonly trigger: string;
  readonly status: string;
  readonly attempts: number;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly lagMs?: number;
  readonly run?: string;
  readonly exitCode?: number;
  readonly error?: object;
  readonly reason?: string;
  readonly notification?: object;
}

/** A schedule as the host describes it. */
export interface HostSchedule {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly cron: string;
  readonly timezone: string;
  readonly script: string;
  readonly scriptVersion: number | null;
  readonly space: string | null;
  readonly args: readonly string[];
  readonly input: unknown;
  readonly overlap: string;
  readonly missed: string;
  readonly missedWindowMs: number;
  readonly jitterMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly retryDelayMs: number;
  readonly grant: readonly string[] | null;
  readonly notify: object | null;
  readonly paused: boolean;
  readonly owner: string;
  readonly nextDueAt?: string;
  readonly lastJob?: HostJob;
  readonly failuresInARow: number;
  readonly problems: readonly object[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** The host's description of a job, for scripts. */
export function jobForScript(job: HostJob) {
  return {
    id: job.id,
    schedule: job.schedule,
    due_at: job.dueAt,
    trigger: job.trigger,
    status: job.status,
    attempts: job.attempts,
    ...present({
      started_at: job.startedAt,
      ended_at: job.endedAt,
      lag_ms: job.lagMs,
      run: job.run,
      exit_code: job.exitCode,
      error: job.error,
      reason: job.reason,
      notification: job.notification,
    }),
  };
}

/** The host's description of a schedule, for scripts: settings as they are given, times in seconds. */
export function scheduleForScript(schedule: HostSchedule) {
  const { lastJob } = schedule;
  return {
    name: schedule.name,
    id: schedule.id,
    description: schedule.description,
    cron: schedule.cron,
    tz: schedule.timezone,
    script: schedule.script,
    version: schedule.scriptVersion,
    space: schedule.space,
    args: schedule.args,
    input: schedule.input,
    overlap: schedule.overlap,
    missed: schedule.missed,
    window: schedule.missedWindowMs / 1000,
    jitter: schedule.jitterMs / 1000,
    timeout: schedule.timeoutMs / 1000,
    retries: schedule.retries,
    retry_delay: schedule.retryDelayMs / 1000,
    grant: schedule.grant,
    notify: schedule.notify,
    paused: schedule.paused,
    owner: schedule.owner,
    failures_in_a_row: schedule.failuresInARow,
    problems: schedule.problems,
    created_at: schedule.createdAt,
    updated_at: schedule.updatedAt,
    ...present({
      next_due_at: schedule.nextDueAt,
      last_job: lastJob === undefined ? undefined : jobForScript(lastJob),
    }),
  };
}

/** What an archive holds, as the host tells of it when it is made or extracted. */
export interface HostArchive {
  readonly entries: number;
  readonly bytes: number;
  readonly skipped: readonly string[];
  readonly path?: string;
  readonly size?: number;
  readonly sha256?: string;
}

/** The host's description of an archive, for scripts. */
export function archiveForScript(archive: HostArchive) {
  return {
    ...present({ path: archive.path, size: archive.size, sha256: archive.sha256 }),
    entries: archive.entries,
    bytes: archive.bytes,
    skipped: archive.skipped,
  };
}
