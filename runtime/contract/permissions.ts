/** What an actor may be allowed to do. Every procedure of the contract names the one it needs. */
import { z } from "zod";

export const PERMISSIONS = {
  UseSpaces: "manage one's own spaces",
  ManageSpaces: "manage the spaces of others",
  RunCommands: "run commands in spaces",
  CopyFiles: "read and write the files of spaces",
  ManageTemplates: "add, change and delete templates",
  ManageScripts: "save and delete stored scripts of one's own",
  ManageGlobalScripts: "save and delete the stored scripts that everybody may run",
  ExecuteScripts: "run stored scripts",
  ManageSchedules: "add, change and delete schedules",
  ManageUsers: "manage users, their roles and their tokens",
  ViewAudit: "read metrics and the audit log",
} as const;

export type Permission = keyof typeof PERMISSIONS;

export const ALL_PERMISSIONS = Object.keys(PERMISSIONS) as readonly Permission[];

export const permissionSchema = z.enum(ALL_PERMISSIONS);

/** Who calls. The local in-process binding acts as the user of the operating system. */
export interface Actor {
  readonly id: string;
  readonly name: string;
  /** What this call may do: what the user's roles allow, within what the token was made for. */
  readonly permissions: ReadonlySet<Permission>;
  readonly roles: readonly string[];
  /**
   * What the call is limited to whatever its user may: by its token's scope, or by what a script was
   * granted. Absent where nothing limits it.
   */
  readonly scope?: ReadonlySet<Permission> | undefined;
  /** The token that the call came with; absent for a local user. */
  readonly token?: ActorToken | undefined;
}

export interface ActorToken {
  readonly id: string;
  readonly name: string;
  /** `script`: made for a script that runs in a space; it can make no further tokens. */
  readonly kind: "user" | "script";
  /** ISO 8601; absent where it does not expire. */
  readonly expiresAt?: string | undefined;
}
