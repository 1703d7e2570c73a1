/** Keeps secret field values encrypted at rest, with a key file that only the owner can read. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { SpacesError } from "../contract/errors.js";
import { readOrMakeKey } from "../secret-key.js";

const PREFIX = "aes-256-gcm:";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class SecretBox {
  readonly #dataDir: string;
  #key: Promise<Buffer> | undefined;

  /** @param dataDir where the key file is, or is made at the first secret */
  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /**
   * Encrypts a text.
   * @param place what the secret belongs to; the same is needed to decrypt, so that a value moved to
   *   another row is refused
   */
  async encrypt(text: string, place: string): Promise<string> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", await this.#loadKey(), nonce);
    cipher.setAAD(Buffer.from(place));
    const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return PREFIX + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64");
  }

  /**
   * Decrypts what `encrypt` gave.
   * @throws SpacesError `STORE_UNAVAILABLE` when the key does not fit or the value was changed
   */
  async decrypt(sealed: string, place: string): Promise<string> {
    const data = Buffer.from(sealed.slice(PREFIX.length), "base64");
    try {
      const decipher = createDecipheriv(
        "aes-256-gcm",
        await this.#loadKey(),
        data.subarray(0, NONCE_BYTES),
      );
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(data.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const body = data.subarray(NONCE_BYTES + TAG_BYTES);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
    } catch (cause) {
      throw new SpacesError("STORE_UNAVAILABLE", "A secret field cannot be decrypted.", {
        cause,
        suggestion: "Restore the data directory's secrets.key, or set the field anew.",
      });
    }
  }

  #loadKey(): Promise<Buffer> {
    this.#key ??= readOrMakeKey(this.#dataDir);
    return this.#key;
  }
}
