/**
 * The whole life of a space in one script: create, fields, start, run, describe, stop, delete.
 *
 *     spaces run scripts/quickstart.ts
 *     spaces run scripts/quickstart.ts --driver docker
 */
import { args } from "runtime";
import spaces from "spaces";

const name = args[0] ?? "test-space";

// Left over from a run that was killed: start afresh.
if (spaces.list().some((space) => space.name === name)) spaces.delete(name, { force: true });

const id = spaces.create(name, "default", { description: "Test environment", shell: "bash" });
console.log(`Created space: ${id}`);

try {
  spaces.set_field(name, "environment", "testing");
  spaces.set_field(name, "api_key", "sk-test-key");

  spaces.start(name);
  console.log(`Space started, running: ${spaces.is_running(name)}`);

  const greeting = spaces.run(name, "echo", ["Hello from", name]);
  console.log(`Command output: ${greeting.trim()}`);

  spaces.run(name, "printf '%s\\n' one two three > numbers.txt");
  const { stdout, exit_code } = spaces.exec(name, "wc -l < numbers.txt");
  console.log(`Lines written: ${stdout.trim()} (exit code ${exit_code})`);

  console.log(`Environment: ${spaces.get_field(name, "environment")}`);
  console.log(`API Key: ${spaces.get_field(name, "api_key")}`);

  spaces.set_description(name, "Updated test environment");
  console.log(`Description: ${spaces.get_description(name)}`);

  spaces.stop(name);
  console.log("Space stopped");
} finally {
  spaces.delete(name, { force: true });
  console.log("Space deleted");
}
