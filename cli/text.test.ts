import { describe, expect, it } from "vitest";
import {
  ago,
  byteSize,
  inTimezone,
  printable,
  printableLines,
  printableName,
  table,
  took,
} from "./text.js";

describe("table", () => {
  it("aligns columns, also with wide characters, and leaves no trailing blanks", () => {
    const text = table(
      ["NAME", "NOTE", "LAST"],
      [
        ["dev", "日本", "x"],
        ["production", "", ""],
      ],
    );
    expect(text).toBe("NAME        NOTE  LAST\ndev         日本  x\nproduction\n");
  });

  it("escapes what would drive the terminal", () => {
    expect(table(["A"], [["\u001b[2Jgone\r\u202e"]])).toBe("A\n\\u001b[2Jgone\\u000d\\u202e\n");
  });
});

describe("printable", () => {
  it("keeps one line one line", () => {
    expect(printable("a\nb\tc\u0000")).toBe("a b c\\u0000");
  });

  it("keeps line breaks where lines are wanted", () => {
    expect(printableLines("a\n\tb\u009b31m")).toBe("a\n\tb\\u009b31m");
  });
});

describe("ago", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  it.each([
    ["2026-01-02T00:00:00Z", "just now"],
    ["2026-01-01T23:59:59Z", "1 second ago"],
    ["2026-01-01T23:55:00Z", "5 minutes ago"],
    ["2026-01-01T00:00:00Z", "1 day ago"],
    ["2026-01-02T02:00:00Z", "in 2 hours"],
    ["nonsense", "nonsense"],
  ])("says %s as %s", (timestamp, said) => {
    expect(ago(timestamp, now)).toBe(said);
  });
});

describe("names of files", () => {
  it("shows every control character, so that no name looks like another or like two", () => {
    expect(printableName("a\nb\t\u001b[31m\u202e")).toBe("a\\u000ab\\u0009\\u001b[31m\\u202e");
    expect(printableName("Ä 文.txt")).toBe("Ä 文.txt");
  });
});

it.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [1023, "1023 bytes"],
  [1536, "1.5 KiB"],
  [104_857_600, "100.0 MiB"],
  [5 * 1024 ** 4, "5.0 TiB"],
  [5000 * 1024 ** 4, "5000.0 TiB"],
])("%i bytes are shown as %s", (bytes, text) => {
  expect(byteSize(bytes)).toBe(text);
});

it.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1500, "1.5 s"],
  [119_000, "119.0 s"],
  [600_000, "10 min"],
  [7_200_000, "2 h"],
])("%i milliseconds are shown as %s", (ms, text) => {
  expect(took(ms)).toBe(text);
});

it.each([
  ["2026-03-29T00:59:59.000Z", "Europe/Berlin", "Sun 2026-03-29 01:59:59 +01:00"],
  ["2026-03-29T01:00:00.000Z", "Europe/Berlin", "Sun 2026-03-29 03:00:00 +02:00"],
  ["2026-01-01T00:00:00.000Z", "UTC", "Thu 2026-01-01 00:00:00 +00:00"],
  ["2026-01-01T00:00:00.000Z", "Asia/Kathmandu", "Thu 2026-01-01 05:45:00 +05:45"],
  ["2026-01-01T00:00:00.000Z", "America/New_York", "Wed 2025-12-31 19:00:00 -05:00"],
])("%s in %s is shown as %s", (timestamp, timezone, text) => {
  expect(inTimezone(timestamp, timezone)).toBe(text);
});
