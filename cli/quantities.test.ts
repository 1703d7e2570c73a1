import { describe, expect, it } from "vitest";
import {
  LONGEST_MS,
  parseCount,
  parseDelay,
  parseDuration,
  parseOffset,
  parsePort,
  parseSize,
  showDuration,
} from "./quantities.js";

describe("parseDuration", () => {
  it("reads every unit, fractions, and bare numbers as seconds", () => {
    const read = ["500ms", "30s", "1.5m", "2h", "7d", "3"].map((text) =>
      parseDuration(text, "--timeout"),
    );
    expect(read).toEqual([500, 30_000, 90_000, 7_200_000, LONGEST_MS, 3000]);
  });

  it.each(["", "0", "0s", "-1s", "NaN", "Infinity", "1e3", "8d", "5 m", "1h30m", "0x10", "٣s"])(
    "refuses %j and names the option",
    (text) => {
      expect(() => parseDuration(text, "--timeout")).toThrow(
        expect.objectContaining({
          code: "INVALID_INPUT",
          message: expect.stringContaining("--timeout"),
        }),
      );
    },
  );
});

describe("parseDelay", () => {
  it("reads a duration that may be nothing", () => {
    expect(["0", "0s", "500ms", "1d"].map((text) => parseDelay(text, "--jitter"))).toEqual([
      ...[0, 0, 500, 86_400_000],
    ]);
  });

  it.each(["", "-1s", "soon", "25h", "1e3"])("refuses %j and names the option", (text) => {
    expect(() => parseDelay(text, "--jitter")).toThrow(
      expect.objectContaining({
        code: "INVALID_INPUT",
        message: expect.stringContaining("--jitter"),
      }),
    );
  });
});

describe("showDuration", () => {
  it("shows the largest unit that is whole, which reads back as the same", () => {
    const shown = [0, 1, 1500, 90_000, 300_000, 21_600_000, 86_400_000].map(showDuration);
    expect(shown).toEqual(["0s", "1ms", "1500ms", "90s", "5m", "6h", "1d"]);
    expect(shown.map((text) => parseDelay(text, "--x"))).toEqual([
      ...[0, 1, 1500, 90_000, 300_000, 21_600_000, 86_400_000],
    ]);
  });
});

describe("parseSize", () => {
  it("reads binary units", () => {
    expect(["1Ki", "64Mi", "1.5Gi"].map((text) => parseSize(text, "--memory"))).toEqual([
      1024,
      64 * 1024 ** 2,
      1.5 * 1024 ** 3,
    ]);
  });

  it.each(["", "64", "64MB", "0Mi", "-1Mi", "Mi", "99999999999999999999Gi", "0.0001Ki"])(
    "refuses %j",
    (text) => {
      expect(() => parseSize(text, "--memory")).toThrow(/--memory/);
    },
  );
});

describe("parseCount", () => {
  it("reads whole numbers", () => {
    expect(parseCount("12", "--limit")).toBe(12);
  });

  it.each(["0", "-1", "1.5", "x", "", "1e3"])("refuses %j", (text) => {
    expect(() => parseCount(text, "--limit")).toThrow(/--limit/);
  });
});

describe("parsePort", () => {
  it("reads the ports that there are", () => {
    expect(["1", "80", "65535"].map((text) => parsePort(text, "port"))).toEqual([1, 80, 65_535]);
  });

  it.each(["", "-1", "0", "65536", "1.5", "abc", " 80", "0x50", "1e3", "٣"])(
    "refuses %j",
    (text) => {
      expect(() => parsePort(text, "port")).toThrow(`port cannot be "${text}".`);
    },
  );
});

describe("parseOffset", () => {
  it("reads whole numbers from 0 on, and refuses the rest", () => {
    expect(["0", "262144"].map((text) => parseOffset(text, "--x"))).toEqual([0, 262_144]);
    for (const text of ["", "-1", "1.5", "1e3"]) {
      expect(() => parseOffset(text, "--x")).toThrow(`--x cannot be "${text}".`);
    }
  });
});
