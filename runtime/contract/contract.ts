/** The contract: everything that can be asked, in one object. Bindings and servers are made from it. */
import type { ContractRouterClient } from "@orpc/contract";
import { fieldsContract } from "./fields.js";
import { filesContract } from "./files.js";
import { portsContract } from "./ports.js";
import { processesContract } from "./processes.js";
import { runsContract } from "./runs.js";
import { schedulesContract } from "./schedules.js";
import { scriptsContract } from "./scripts.js";
import { spacesContract } from "./spaces.js";
import { systemContract } from "./system.js";
import { templatesContract } from "./templates.js";
import { tokensContract } from "./tokens.js";
import { rolesContract, usersContract } from "./users.js";

export const contract = {
  spaces: spacesContract,
  fields: fieldsContract,
  templates: templatesContract,
  files: filesContract,
  processes: processesContract,
  ports: portsContract,
  scripts: scriptsContract,
  runs: runsContract,
  schedules: schedulesContract,
  users: usersContract,
  roles: rolesContract,
  tokens: tokensContract,
  system: systemContract,
};

/** The typed client of the contract; every binding is one. */
export type Client = ContractRouterClient<typeof contract>;
