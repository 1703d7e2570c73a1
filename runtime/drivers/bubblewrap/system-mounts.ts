/**
 * The host's programs as a space sees them: `/usr` and the few files of `/etc` that programs need,
 * all read-only. Used for the arguments of bubblewrap.
 */
import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

/** Directories that are links into `/usr` on merged systems and directories on others. */
const BESIDE_USR = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/**
 * What the dynamic loader, TLS, time zones and the alternatives system read. Nothing with secrets:
 * of `/etc/ssl` only the certificates.
 */
const ETC = [
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/alternatives",
  "/etc/ca-certificates.conf",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/tls/certs",
  "/etc/pki/ca-trust/extracted",
  "/etc/crypto-policies",
  "/etc/localtime",
  "/etc/timezone",
  "/etc/os-release",
  "/etc/mime.types",
  "/etc/protocols",
  "/etc/services",
  "/etc/inputrc",
];
const ETC_PREFIXES = ["ld-musl-", "java-", "python3"];

const SHELLS = ["bash", "zsh", "fish", "sh"];

let known: readonly string[] | undefined;

/** bubblewrap's arguments for the read-only system; looked up once. */
export function systemMounts(): readonly string[] {
  known ??= ["--ro-bind", "/usr", "/usr", ...BESIDE_USR.flatMap(besideUsr), ...etcMounts()];
  return known;
}

function besideUsr(path: string): string[] {
  if (!existsSync(path)) return [];
  if (!lstatSync(path).isSymbolicLink()) return ["--ro-bind", path, path];
  return ["--symlink", readlinkSync(path), path];
}

function etcMounts(): string[] {
  const more = readdirSync("/etc").filter((name) =>
    ETC_PREFIXES.some((prefix) => name.startsWith(prefix)),
  );
  // Without those that are missing, and links to something that is missing.
  const paths = [...ETC, ...more.map((name) => join("/etc", name))].filter((path) =>
    existsSync(path),
  );
  const parents = new Set(["/etc", ...paths.map((path) => dirname(path))]);
  return [
    ...[...parents].flatMap((path) => directoryArguments(path)),
    ...paths.flatMap((path) => {
      const real = realpathSync(path);
      return real.startsWith("/usr/") ? ["--symlink", real, path] : ["--ro-bind", real, path];
    }),
  ];
}

/** An empty directory that anyone may enter; bubblewrap keeps those that it makes itself closed. */
export function directoryArguments(path: string): string[] {
  const above = dirname(path);
  return [
    ...(above === "/" ? [] : directoryArguments(above)),
    ...["--perms", "0755", "--dir", path],
  ];
}

/** The shells that a space finds in its `/usr/bin` or `/bin`. */
export function installedShells(): string[] {
  return SHELLS.filter((shell) =>
    ["/usr/bin", "/bin"].some((directory) => existsSync(join(directory, shell))),
  );
}

/** The first of the places in which programs of the system are that has this one. */
export function findProgram(name: string, path = process.env.PATH ?? ""): string | undefined {
  return [...path.split(":"), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
    .filter((directory) => directory.startsWith("/"))
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file));
}
