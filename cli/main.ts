#!/usr/bin/env node
/** The entry of the command line, run as `spaces`. */
import { startInterpreter } from "./script-interpreter.js";

const args = process.argv.slice(2);
// The sandbox's thread starts while the command line is being loaded and read.
if (args[0] === "run") startInterpreter();
const { runCommandLine } = await import("./program.js");
// Worker threads and drivers may still hold the process; what had to be closed is closed by now.
process.exit(await runCommandLine(args));
