/** The tables of the store, as Kysely types. Times are ISO 8601 in UTC unless the name ends in `_ms`. */
import type { ColumnType, Selectable } from "kysely";

export interface Tables {
  installation: InstallationTable;
  spaces: SpaceTable;
  fields: FieldTable;
  templates: TemplateTable;
  scripts: ScriptTable;
  script_versions: ScriptVersionTable;
  runs: RunTable;
  schedules: ScheduleTable;
  jobs: JobTable;
  processes: ProcessTable;
  forwards: ForwardTable;
  kept_answers: KeptAnswerTable;
  users: UserTable;
  roles: RoleTable;
  user_roles: UserRoleTable;
  tokens: TokenTable;
}

interface InstallationTable {
  id: string;
  created_at: string;
}

interface SpaceTable {
  id: string;
  owner: string;
  name: string;
  template: string;
  /** The template as it was when the space was made, JSON. */
  spec: string;
  driver: string;
  image: string | null;
  /** How commands reached it at its last start: by the guest agent, or by the driver's own means. */
  access: string | null;
  network: string;
  description: string;
  shell: string;
  /** JSON objects of strings. */
  env: string;
  metadata: string;
  status: string;
  /** Counts every change of status; compare-and-set goes by it. */
  revision: ColumnType<number, number | undefined, number>;
  setup_done: ColumnType<number, number | undefined, number>;
  /** JSON of the last error, or null. */
  last_error: string | null;
  /** The operation under way: its id, the process that does it, and when that last gave a sign. */
  operation: string | null;
  operation_holder: string | null;
  operation_renewed_ms: number | null;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  last_active_at: string | null;
  /** When the space is deleted by itself; null where it stays. */
  expires_at: string | null;
}
export type SpaceRow = Selectable<SpaceTable>;

interface FieldTable {
  space_id: string;
  name: string;
  /** Encrypted where the template calls the field secret. */
  value: string;
  updated_at: string;
}

interface TemplateTable {
  name: string;
  source: string;
  /** JSON of the parsed template. */
  spec: string;
  created_at: string;
  updated_at: string;
}
export type TemplateRow = Selectable<TemplateTable>;

interface ScriptTable {
  /** Empty where the script is everybody's. */
  owner: string;
  name: string;
  /** The newest version. */
  version: number;
  created_at: string;
  updated_at: string;
}

export interface ScriptVersionTable {
  owner: string;
  name: string;
  version: number;
  description: string;
  language: string;
  kind: string;
  tool: number;
  /** JSON of the declared inputs. */
  inputs: string | null;
  source: string;
  sha256: string;
  created_at: string;
  /** The user's id. */
  created_by: string;
}
export type ScriptVersionRow = Selectable<ScriptVersionTable>;

/** The index of run records; what happened in a run is in its journal, beside the database. */
interface RunTable {
  id: string;
  owner: string;
  status: string;
  /** Names of the stored script and of the schedule. */
  script: string | null;
  schedule: string | null;
  /** JSON of the run as the contract has it. */
  record: string;
  /** JSON array of the SHA-256 of the kept sources that it needs to be run again. */
  sources: string;
  started_at: string;
  ended_at: string | null;
}

interface ScheduleTable {
  id: string;
  owner: string;
  name: string;
  /** JSON of the schedule as its author gave it, without the webhook's secret. */
  spec: string;
  /** Encrypted. */
  webhook_secret: string | null;
  /** JSON array of the permissions that its maker was limited to; null where nothing did. */
  scope: string | null;
  /** As in the spec, for queries. */
  overlap: string;
  /** When the next job is due; null while it is paused. */
  next_due_ms: number | null;
  /** Jobs that failed since one succeeded. */
  failures: ColumnType<number, number | undefined, number>;
  created_at: string;
  updated_at: string;
}
export type ScheduleRow = Selectable<ScheduleTable>;

interface JobTable {
  id: string;
  schedule_id: string;
  trigger: string;
  due_ms: number;
  /** With its jitter, or the delay before the next attempt. */
  not_before_ms: number;
  /** 1 where it was due while nothing ran it, and is run after all. */
  made_up: ColumnType<number, number | undefined, number>;
  status: string;
  attempts: ColumnType<number, number | undefined, number>;
  /** The process that runs it, and when that last gave a sign. */
  holder: string | null;
  renewed_ms: number | null;
  /** 1 where its holder is to cancel it. */
  cancel_asked: ColumnType<number, number | undefined, number>;
  started_ms: number | null;
  /** How late its first attempt began. */
  lag_ms: number | null;
  ended_ms: number | null;
  run: string | null;
  exit_code: number | null;
  /** JSON. */
  error: string | null;
  reason: string | null;
  notify_status: string | null;
  notify_due_ms: number | null;
  notify_attempts: ColumnType<number, number | undefined, number>;
  /** JSON array of what was told already, of `webhook` and `command`; the rest is tried again. */
  notify_told: string | null;
  notify_error: string | null;
}
export type JobRow = Selectable<JobTable>;

/** Commands under way, by which a space is known to be busy. */
interface ProcessTable {
  id: string;
  space_id: string;
  holder: string;
  started_at: string;
}

/** Port forwards. They outlive processes and restarts of their spaces; a relay makes them real. */
interface ForwardTable {
  id: string;
  /** The space that listens; null where the host does. */
  source_id: string | null;
  local_port: number;
  remote_id: string;
  remote_port: number;
  created_at: string;
}
export type ForwardRow = Selectable<ForwardTable>;

interface UserTable {
  id: string;
  name: string;
  /** 1 where its tokens are refused. */
  disabled: ColumnType<number, number | undefined, number>;
  created_at: string;
}
export type UserRow = Selectable<UserTable>;

/** The roles that users add; the built-in ones are constants. */
interface RoleTable {
  name: string;
  description: string;
  /** JSON array of permissions. */
  permissions: string;
  updated_at: string;
}
export type RoleRow = Selectable<RoleTable>;

interface UserRoleTable {
  user_id: string;
  role: string;
}

interface TokenTable {
  id: string;
  /** SHA-256 of the token's text, in hex. */
  hash: string;
  user_id: string;
  name: string;
  kind: "user" | "script";
  /** JSON array of the permissions that it is limited to; null where it has all of its user's. */
  scope: string | null;
  /** The token that it was made with. */
  parent_id: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
}
export type TokenRow = Selectable<TokenTable>;

/** Answers by the idempotency keys of their calls; without status and body while one is under way. */
interface KeptAnswerTable {
  actor: string;
  key: string;
  /** Hash of the request that the key stands for. */
  request: string;
  /** The process that makes the call. */
  holder: string;
  status: ColumnType<number | null, number | undefined, number>;
  /** Encrypted: answers can hold tokens. */
  body: ColumnType<string | null, string | undefined, string>;
  created_ms: number;
}
