/** What an actor may be allowed to do. Every procedure of the contract names the one it needs. */
export const PERMISSIONS = {
  UseSpaces: "manage one's own spaces",
  ManageSpaces: "manage the spaces of others",
  RunCommands: "run commands in spaces",
  ManageTemplates: "add, change and delete templates",
  ManageScripts: "save and delete stored scripts",
  ExecuteScripts: "run stored scripts",
} as const;

export type Permission = keyof typeof PERMISSIONS;

export const ALL_PERMISSIONS = Object.keys(PERMISSIONS) as readonly Permission[];

/** Who calls. The local in-process binding acts as the user of the operating system. */
export interface Actor {
  readonly id: string;
  readonly name: string;
  readonly permissions: ReadonlySet<Permission>;
}
