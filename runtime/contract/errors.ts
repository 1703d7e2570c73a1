/**
 * The one registry of errors: every code that a caller can meet, with its HTTP status, default
 * message and suggestion. Scripts, the SDK, HTTP and the CLI all show these same codes.
 */

interface ErrorDefinition {
  readonly status: number;
  readonly message: string;
  /** What the reader can do about it. */
  readonly suggestion: string;
}

export const ERRORS = {
  INVALID_INPUT: {
    status: 422,
    message: "The input is not valid.",
    suggestion: "Correct the named value and call again.",
  },
  UNAUTHENTICATED: {
    status: 401,
    message: "No valid credentials were given.",
    suggestion: "Give a valid token: in SPACES_TOKEN, or with `spaces login`.",
  },
  PERMISSION_DENIED: {
    status: 403,
    message: "You lack the permission for this.",
    suggestion: "Ask an administrator for the named permission, or grant it to the script.",
  },
  SPACE_NOT_FOUND: {
    status: 404,
    message: "There is no such space.",
    suggestion: "List the spaces that exist with `spaces list`.",
  },
  SPACE_EXPIRED: {
    status: 410,
    message: "The space has expired and is being deleted.",
    suggestion: "Create a new space; extend its time with `extend` before it ends.",
  },
  SPACE_EXISTS: {
    status: 409,
    message: "A space of this name exists already.",
    suggestion: "Choose another name, or delete the existing space first.",
  },
  SPACE_RUNNING: {
    status: 409,
    message: "The space is running.",
    suggestion: "Stop the space first, or delete it with force.",
  },
  SPACE_NOT_RUNNING: {
    status: 409,
    message: "The space is not running.",
    suggestion: "Start the space first.",
  },
  SPACE_START_FAILED: {
    status: 500,
    message: "The space could not be started.",
    suggestion: "Read `lastError` with `spaces show`, mend the cause, and start it again.",
  },
  TEMPLATE_NOT_FOUND: {
    status: 404,
    message: "There is no such template.",
    suggestion: "List the templates that exist with `spaces templates list`.",
  },
  TEMPLATE_INVALID: {
    status: 422,
    message: "The template is not valid.",
    suggestion: "Correct the template at the named line and column.",
  },
  TEMPLATE_IN_USE: {
    status: 409,
    message: "The template is used by a space.",
    suggestion: "Delete the spaces that use the template first.",
  },
  FIELD_NOT_DEFINED: {
    status: 404,
    message: "The template defines no such field.",
    suggestion: "Use a field of the template, or define the field there.",
  },
  FILE_NOT_FOUND: {
    status: 404,
    message: "There is no such file.",
    suggestion: "List the files of the space with `spaces files ls`.",
  },
  FILE_EXISTS: {
    status: 409,
    message: "A file of this name exists already.",
    suggestion: "Choose another name, or ask for it to be overwritten.",
  },
  WRONG_FILE_TYPE: {
    status: 409,
    message: "The file is of another type than this needs.",
    suggestion: "Look at its type with `spaces files stat`.",
  },
  DIRECTORY_NOT_EMPTY: {
    status: 409,
    message: "The directory is not empty.",
    suggestion: "Remove what is in it first, or remove it recursively.",
  },
  PATH_DENIED: {
    status: 403,
    message: "The path leads out of the workspace, or to something that is no file.",
    suggestion: "Name a regular file or a directory below /workspace.",
  },
  HASH_MISMATCH: {
    status: 422,
    message: "The content does not have the hash that it should have.",
    suggestion: "Send it again; what was there before is unchanged.",
  },
  DISK_FULL: {
    status: 507,
    message: "There is no room left for this.",
    suggestion: "Remove files that are not needed, or give the disk more room.",
  },
  COMMAND_FAILED: {
    status: 422,
    message: "The command failed.",
    suggestion: "Read the exit code and the output in the error's details.",
  },
  COMMAND_TIMEOUT: {
    status: 408,
    message: "The command did not end in time and was killed.",
    suggestion: "Give a longer timeout; the output so far is in the error's details.",
  },
  CALL_TIMEOUT: {
    status: 408,
    message: "The call did not end in time.",
    suggestion: "Give a longer timeout, or find out why it takes so long.",
  },
  PROCESS_NOT_FOUND: {
    status: 404,
    message: "The space has no such process.",
    suggestion: "List the processes of the space with `spaces ps`.",
  },
  COMMAND_NOT_FOUND: {
    status: 422,
    message: "The command was not found in the space.",
    suggestion: "Check the spelling, or install the program in the template's setup.",
  },
  SCRIPT_NOT_FOUND: {
    status: 404,
    message: "There is no such script.",
    suggestion: "List the stored scripts with `spaces scripts list`.",
  },
  RUN_NOT_FOUND: {
    status: 404,
    message: "There is no such run.",
    suggestion: "List the runs that are kept with `spaces runs list`.",
  },
  SCHEDULE_NOT_FOUND: {
    status: 404,
    message: "There is no such schedule.",
    suggestion: "List the schedules with `spaces schedules list`.",
  },
  SCHEDULE_EXISTS: {
    status: 409,
    message: "A schedule of this name exists already.",
    suggestion: "Choose another name, or change it with `spaces schedules update`.",
  },
  SCRIPT_FAILED: {
    status: 422,
    message: "The script failed.",
    suggestion: "Read the script's error and its output so far in the error's details.",
  },
  SCRIPT_TIMEOUT: {
    status: 408,
    message: "The script did not end in time and was stopped.",
    suggestion: "Give the script a longer timeout.",
  },
  SCRIPT_MEMORY: {
    status: 422,
    message: "The script used up its memory.",
    suggestion: "Hold less data at once, or give the script more memory.",
  },
  SCRIPT_NEVER_SETTLES: {
    status: 422,
    message: "The script awaits a promise that can never settle.",
    suggestion: "Resolve the promise that the script awaits at top level.",
  },
  PORT_IN_USE: {
    status: 409,
    message: "The port is in use.",
    suggestion: "Choose another port, or stop what uses it.",
  },
  FORWARD_NOT_FOUND: {
    status: 404,
    message: "There is no such port forward.",
    suggestion: "List the forwards of the space.",
  },
  USER_NOT_FOUND: {
    status: 404,
    message: "There is no such user.",
    suggestion: "List the users with `spaces users list`.",
  },
  USER_EXISTS: {
    status: 409,
    message: "A user of this name exists already.",
    suggestion: "Choose another name.",
  },
  ROLE_NOT_FOUND: {
    status: 404,
    message: "There is no such role.",
    suggestion: "List the roles with `spaces roles list`.",
  },
  TOKEN_NOT_FOUND: {
    status: 404,
    message: "There is no such token.",
    suggestion: "List your tokens with `spaces tokens list`.",
  },
  POLICY_DENIED: {
    status: 403,
    message: "The space's policy denies this.",
    suggestion: "Change the policy of the space, or do without.",
  },
  APPROVAL_REQUIRED: {
    status: 403,
    message: "This needs an approval.",
    suggestion: "Have the operation approved, then try again.",
  },
  DRIVER_UNAVAILABLE: {
    status: 503,
    message: "The driver is not usable here.",
    suggestion: "Run `spaces doctor`: it names the cause and the remedy.",
  },
  DRIVER_FAILED: {
    status: 502,
    message: "The driver could not do this.",
    suggestion: "Run `spaces doctor`, and read the cause in the error's details.",
  },
  IMAGE_NOT_FOUND: {
    status: 404,
    message: "The image is neither here nor can it be pulled.",
    suggestion: "Check the image's name and the network, or pull or import the image by hand.",
  },
  UNSUPPORTED: {
    status: 501,
    message: "The driver of this space cannot do this.",
    suggestion: "Use a space on a driver that can: `spaces doctor` lists what each can do.",
  },
  LIMIT_EXCEEDED: {
    status: 429,
    message: "A limit was exceeded.",
    suggestion: "Ask for less at once, or raise the limit.",
  },
  BODY_TOO_LARGE: {
    status: 413,
    message: "The body of the request is too large.",
    suggestion: "Send less at once, or stream the file to its content route.",
  },
  NOT_FOUND: {
    status: 404,
    message: "There is no such route.",
    suggestion: "Look at the routes in /openapi.json or at /docs.",
  },
  SERVER_UNREACHABLE: {
    status: 503,
    message: "The server could not be reached.",
    suggestion: "Check the URL and that the server runs: `spaces doctor` tells more.",
  },
  SHUTTING_DOWN: {
    status: 503,
    message: "The server is shutting down.",
    suggestion: "Try again in a moment.",
  },
  CONFLICT: {
    status: 409,
    message: "Something else is being done to this at the same time.",
    suggestion: "Wait until the other operation has ended, then try again.",
  },
  INTERRUPTED: {
    status: 500,
    message: "The process that did this ended before it was done.",
    suggestion: "Do it again.",
  },
  CANCELLED: {
    status: 499,
    message: "The operation was cancelled.",
    suggestion: "Start it again if it was not meant to be cancelled.",
  },
  STORE_UNAVAILABLE: {
    status: 503,
    message: "The store could not be used.",
    suggestion: "Check that the data directory is writable and its disk has room.",
  },
  INTERNAL: {
    status: 500,
    message: "Something went wrong inside spaces.",
    suggestion:
      "Set SPACES_DEBUG=1 to see the cause here, or look into the server's log; then report it.",
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERRORS;

/** The form in which an error crosses a boundary (sandbox, HTTP, a store row). */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly suggestion?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

interface SpacesErrorOptions {
  /** What to do; the registry's suggestion when left out. */
  readonly suggestion?: string;
  /** Structured, JSON-safe facts, such as an exit code or a port. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const BRAND = Symbol.for("spaces-runtime.SpacesError");

/** Is this string a code of the registry? */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERRORS, code);
}

/** An error of the registry. Its `code` is stable; its message names the thing and the value. */
export class SpacesError extends Error {
  override readonly name: string = "SpacesError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly suggestion: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message?: string, options: SpacesErrorOptions = {}) {
    const definition = ERRORS[code];
    super(
      message ?? definition.message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.status = definition.status;
    this.suggestion = options.suggestion ?? definition.suggestion;
    this.details = options.details ?? {};
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Recognises an error of this class even when another copy of the package made it. */
  static isInstance(error: unknown): error is SpacesError {
    return typeof error === "object" && error !== null && BRAND in error;
  }

  /** The error in the form that crosses boundaries; the cause stays behind. */
  serialize(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      suggestion: this.suggestion,
      details: this.details,
    };
  }

  /** Builds the error back from its boundary form. */
  static deserialize(error: SerializedError): SpacesError {
    return fromBoundary(error);
  }
}

/** Not within the class: bundlers give another name to a class that mentions itself. */
function fromBoundary({ code, message, suggestion, details }: SerializedError): SpacesError {
  return new SpacesError(code, message, {
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(details === undefined ? {} : { details }),
  });
}
