/** Certificates for tests of TLS, made by `openssl`. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Whether certificates can be made here. To be given to `skipIf`.
 * @throws Error when they cannot and `SPACES_TEST_REQUIRE` (names separated by commas) has `openssl`.
 */
export async function canMakeCertificates(): Promise<boolean> {
  try {
    await run("openssl", ["version"]);
    return true;
  } catch (cause) {
    if ((process.env.SPACES_TEST_REQUIRE ?? "").split(",").includes("openssl")) {
      throw new Error("SPACES_TEST_REQUIRE asks for openssl, which is not here.", { cause });
    }
    return false;
  }
}

/**
 * Makes a key and a certificate that is its own authority.
 * @param directory where their files go
 * @param name such as `DNS:localhost` or `IP:127.0.0.1`
 * @returns the paths of both files, in PEM
 */
export async function makeCertificate(
  directory: string,
  name: string,
): Promise<{ readonly key: string; readonly cert: string }> {
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-subj", "/CN=spaces.test", "-addext", `subjectAltName=${name}`, "-days", "2"],
    ...["-keyout", key, "-out", cert],
  ]);
  return { key, cert };
}
