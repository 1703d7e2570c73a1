import { describe, expect, it } from "vitest";
import { Output, type OutputFlags } from "./output.js";

function capture(
  flags: Partial<OutputFlags> = {},
  env: Record<string, string> = {},
  isTTY: boolean = true,
) {
  const written = { stdout: "", stderr: "" };
  const sink = (stream: "stdout" | "stderr") => () => ({
    isTTY,
    write: (text: string) => {
      written[stream] += text;
    },
  });
  const target = { stdout: sink("stdout"), stderr: sink("stderr"), env };
  const output = new Output({ json: false, quiet: false, color: true, ...flags }, target);
  return { output, written };
}

describe("Output", () => {
  it("waits for its stream only where it has written", async () => {
    let waits = 0;
    const sink = {
      write: (_text: string, done?: () => void) => {
        waits++;
        done?.();
      },
    };
    const target = { stdout: () => sink, stderr: () => sink, env: {} };
    const output = new Output({ json: false, quiet: false, color: true }, target);
    await output.flush();
    expect(waits).toBe(0);
    output.data("x");
    await output.flush();
    expect(waits).toBe(2);
  });

  it("keeps data on stdout and notes on stderr", () => {
    const { output, written } = capture();
    output.data("data\n");
    output.note("note");
    expect(written).toEqual({ stdout: "data\n", stderr: "note\n" });
  });

  it("says nothing but data with --quiet, and nothing but one JSON value with --json", () => {
    const quiet = capture({ quiet: true });
    quiet.output.note("note");
    quiet.output.progress("working");
    expect(quiet.written.stderr).toBe("");

    const json = capture({ json: true }, {}, false);
    json.output.note("note");
    json.output.result({ a: 1 }, () => "text");
    expect(json.written).toEqual({ stdout: '{"a":1}\n', stderr: "" });
  });

  it("shows progress at a terminal only, and clears it before anything else is written", () => {
    const { output, written } = capture();
    output.progress("pulling\u001b[2J");
    output.data("x\n");
    expect(written.stderr).toBe("\r\u001b[K⠋ pulling [2J\r\u001b[K");

    for (const { output, written } of [
      capture({}, {}, false),
      capture({}, { CI: "true" }),
      capture({}, { TERM: "dumb" }),
    ]) {
      output.progress("pulling");
      expect(written.stderr).toBe("");
    }
  });

  it.each([
    ["a terminal", {}, {}, true, true],
    ["a pipe", {}, {}, false, false],
    ["NO_COLOR", {}, { NO_COLOR: "1" }, true, false],
    ["an empty NO_COLOR", {}, { NO_COLOR: "" }, true, true],
    ["TERM=dumb", {}, { TERM: "dumb" }, true, false],
    ["FORCE_COLOR in a pipe", {}, { FORCE_COLOR: "1" }, false, true],
    ["FORCE_COLOR=0", {}, { FORCE_COLOR: "0" }, true, false],
    ["FORCE_COLOR with --no-color", { color: false }, { FORCE_COLOR: "1" }, true, false],
  ])("decides on colours for %s", (_case, flags, env, isTTY, colored) => {
    const { output } = capture(flags, env as Record<string, string>, isTTY);
    expect(output.style("stdout", "red", "x").includes("\u001b[")).toBe(colored);
  });
});
