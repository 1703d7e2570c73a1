import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamRedactor } from "./redaction.js";

function redact(secrets: readonly string[], pieces: readonly string[]): string {
  const redactor = new StreamRedactor(secrets);
  const shown = pieces.map((piece) => redactor.push(Buffer.from(piece)));
  return Buffer.concat([...shown, redactor.flush()]).toString();
}

describe("StreamRedactor", () => {
  it("puts as many asterisks as the secret has bytes", () => {
    expect(redact(["sécret"], ["a sécret b sécret"])).toBe("a ******* b *******");
  });

  it("finds a secret that is cut into pieces", () => {
    expect(redact(["secret"], ["x se", "c", "ret sec", "ond"])).toBe("x ****** second");
  });

  it("takes the longest of several", () => {
    expect(redact(["token", "token-long"], ["token-long token"])).toBe("********** *****");
  });

  it("leaves short values alone", () => {
    expect(redact(["abc", ""], ["abc"])).toBe("abc");
  });

  it("shows no secret and keeps every length, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("hunter2", "hunt", "er2", "x", "hunterhunter2", "\n")),
        fc.integer({ min: 1, max: 5 }),
        (words, size) => {
          const text = words.join("");
          const pieces = text.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
          const shown = redact(["hunter2"], pieces);
          expect(shown).not.toContain("hunter2");
          expect(shown).toHaveLength(text.length);
          expect(shown).toBe(text.replaceAll("hunter2", "*******"));
        },
      ),
    );
  });
});
