/** What programs import from `spaces-runtime`. */
export type { Attachment, AttachmentEvent } from "./bindings/attachment.js";
export type { Binding, BindingOptions } from "./bindings/binding.js";
export { openBinding } from "./bindings/select.js";
export type { Client } from "./contract/contract.js";
export { ERRORS, type ErrorCode, type SerializedError, SpacesError } from "./contract/errors.js";
export type { Field } from "./contract/fields.js";
export type { FileInfo } from "./contract/files.js";
export type { Permission } from "./contract/permissions.js";
export type { Forward } from "./contract/ports.js";
export type { CommandResult } from "./contract/processes.js";
export type { ScriptInputs } from "./contract/script-inputs.js";
export type { ListedScript, Script, ScriptRun, ScriptVersion } from "./contract/scripts.js";
export type { Space as SpaceData, SpaceStatus } from "./contract/spaces.js";
export type { SystemInfo, Whoami } from "./contract/system.js";
export type { Template, TemplateSpec } from "./contract/templates.js";
export type { Token } from "./contract/tokens.js";
export type { Role, User } from "./contract/users.js";
export { AgentSpaces, type AgentSpacesOptions } from "./sdk/agent-spaces.js";
export type { CallOptions } from "./sdk/connection.js";
export {
  CancelledError,
  CommandFailedError,
  ConflictError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PermissionDeniedError,
  ScriptFailedError,
  TimeoutError,
  UnauthenticatedError,
  UnavailableError,
  UnsupportedError,
} from "./sdk/errors.js";
export type {
  FileContent,
  FileEncoding,
  HashedFileInfo,
  ListFilesOptions,
  ReadFileOptions,
  WriteFileOptions,
} from "./sdk/file-options.js";
export type { CreateTokenOptions } from "./sdk/identity.js";
export type { Operation, Run, RunEvent, RunRequest } from "./sdk/operation-types.js";
export type { Page } from "./sdk/pages.js";
export type { ForwardOptions, OpenPortOptions } from "./sdk/ports.js";
export type { OutputOptions, Process, SignalName } from "./sdk/process.js";
export type { ExitEvent, LostEvent, OutputEvent, ProcessOutput } from "./sdk/process-output.js";
export type {
  ExecOptions,
  KillOptions,
  RunCommandOptions,
  StartOptions,
  StreamOptions,
} from "./sdk/processes.js";
export type { AttachPtyOptions, OpenPtyOptions, Pty } from "./sdk/pty.js";
export type {
  RunScriptOptions,
  RunStoredScriptOptions,
  SaveScriptOptions,
  ScriptOptions,
  ScriptVersionOptions,
} from "./sdk/scripts.js";
export type {
  ExtendSpaceOptions,
  Metadata,
  Space,
  UpdateSpaceOptions,
} from "./sdk/space.js";
export type { CreateSpaceOptions, IterateSpacesOptions, ListSpacesOptions } from "./sdk/spaces.js";
export type { AppliedTemplate } from "./sdk/templates.js";
