/** The text of tokens: how it is made, and the form in which the store keeps it. */
import { createHash, randomBytes } from "node:crypto";

const SECRET_BYTES = 32;
const TOKEN = /^spt_[A-Za-z0-9_-]{43}$/;

/** A new token: `spt_` and 256 random bits in base64url. */
export function newTokenSecret(): string {
  return `spt_${randomBytes(SECRET_BYTES).toString("base64url")}`;
}

/** Whether a text has the form of a token. */
export function isTokenSecret(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * What the store keeps of a token. Slow, salted hashes protect what people choose; nobody finds 256
 * random bits by trying, so a plain SHA-256 is enough, and it can be looked up by an index.
 */
export function hashOfSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
