/** What a binding is: the contract's typed client, and what must be released with it. */
import type { Client } from "../contract/contract.js";
import type { Permission } from "../contract/permissions.js";
import type { ProgressListener } from "../drivers/driver.js";
import type { Attachment, AttachOptions, AttachTarget } from "./attachment.js";

export interface Binding extends AsyncDisposable {
  readonly kind: "in-process" | "remote";
  readonly client: Client;
  /** The server, of `remote`. */
  readonly url?: string | undefined;
  /**
   * The client for the script of a run that is recorded in this process: what it has run in turn is
   * known to be the run's.
   */
  clientForRun(run: string): Client;
  /**
   * Attaches to a process of a space. @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`
   */
  attach(target: AttachTarget, options?: AttachOptions): Promise<Attachment>;
}

export interface BindingOptions {
  /** `auto` is remote when a server is configured, else local. */
  readonly binding?: "auto" | "local" | "remote" | undefined;
  /** URL of a server; `SPACES_URL`, a project's file or a profile when absent. */
  readonly url?: string | undefined;
  /** Token for that server; `SPACES_TOKEN`, or what `spaces login` stored for it, when absent. */
  readonly token?: string | undefined;
  /** Profile of the user's configuration; `SPACES_PROFILE` when absent. */
  readonly profile?: string | undefined;
  /** Driver for new spaces whose template names none; `SPACES_DRIVER` when absent. */
  readonly driver?: string | undefined;
  /** Data directory; `SPACES_HOME`, else `$XDG_DATA_HOME/spaces`, when absent. */
  readonly dataDir?: string | undefined;
  /** What calls may do, of what the caller may; local only. All of it when absent. */
  readonly grant?: readonly Permission[] | undefined;
  /** What the records of runs name as what started them; local only. `api` when absent. */
  readonly via?: "mcp" | undefined;
  /** Told of the progress of long work, such as the pull of an image. */
  readonly onProgress?: ProgressListener | undefined;
}
