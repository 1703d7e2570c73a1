/** The header `content-digest` of downloads (RFC 9530): the engine writes it, clients check by it. */

/** @param digest the bytes of a SHA-256 */
export function contentDigest(digest: Buffer): string {
  return `sha-256=:${digest.toString("base64")}:`;
}

/** The SHA-256 that a header holds, in hexadecimal; nothing where it holds none. */
export function sha256OfDigest(header: string): string | undefined {
  const base64 = /(?:^|[\s,])sha-256=:([A-Za-z0-9+/]{43}=):/.exec(header)?.[1];
  return base64 === undefined ? undefined : Buffer.from(base64, "base64").toString("hex");
}
