/**
 * Decides which hosts and addresses a request may reach that a user's text asks for: a script's
 * `fetch` first by the permissions the script was given, then by the address, which must be public;
 * a schedule's webhook by its address, or by what the operator allows.
 */
import { lookup as systemLookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { SpacesError } from "../contract/errors.js";
import type { ScriptPermissions } from "./types.js";

/** Finds all addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly { address: string; family: number }[]>;

/** The system's resolver, with `/etc/hosts` and the like. */
export const resolveBySystem: Resolve = (hostname) => systemLookup(hostname, { all: true });

/** A platform's own address among public ones: it answers to the machine itself only. */
const REFUSED_PUBLIC = new Set(["168.63.129.16"]);

/**
 * Is this an address of the public internet? Forms of IPv6 that carry an IPv4 address (mapped,
 * translated, 6to4, Teredo, ISATAP) never are: what they lead to cannot be judged here.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  if (parsed instanceof ipaddr.IPv4) return !REFUSED_PUBLIC.has(parsed.toString());
  const parts = (parsed as ipaddr.IPv6).parts;
  const globalUnicast = ((parts[0] ?? 0) & 0xe000) === 0x2000;
  const isatap = parts[5] === 0x5efe && ((parts[4] ?? 0) & 0xfdff) === 0;
  return globalUnicast && !isatap;
}

/** The host of a URL without brackets and without the dot that ends an absolute name. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
}

const portOf = (url: URL) => url.port || (url.protocol === "https:" ? "443" : "80");

interface Entry {
  readonly host: string;
  /** The entry is `*.host`. */
  readonly wildcard: boolean;
  readonly port: string | undefined;
}

function readEntry(text: string): Entry {
  const [, star = "", rest = ""] = /^(\*\.)?(.*)$/s.exec(text) ?? [];
  const ipv6 = ipaddr.IPv6.isValid(rest);
  const port = ipv6 ? undefined : /:(\d{1,5})$/.exec(rest)?.[1];
  const host = ipv6 ? `[${rest}]` : port === undefined ? rest : rest.slice(0, -port.length - 1);
  // The URL parser brings both sides, entry and request, into the same spelling.
  const url = /^[^/?#@\\*\s]+$/.test(host) ? tryUrl(host) : null;
  if (url === null || url.port !== "" || (port !== undefined && Number(port) > 65_535)) {
    throw new SpacesError("INVALID_INPUT", `The network permission "${text}" is not a host.`, {
      suggestion: "Write it as example.org, example.org:8080 or *.example.org.",
    });
  }
  return {
    host: bareHost(url),
    wildcard: star !== "",
    port: port === undefined ? undefined : String(Number(port)),
  };
}

function tryUrl(host: string): URL | null {
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : null;
}

/** Names that no public name server answers for: whoever allows one means the private network. */
function isPrivateByName(host: string): boolean {
  return ipaddr.isValid(host) || !host.includes(".") || host.endsWith(".localhost");
}

/** What the permissions say of one URL. */
export interface Grant {
  /** The exact private host and port were named, so the address need not be public. */
  readonly privateAllowed: boolean;
}

/** The entries of a list that stand for the host and port of a URL. */
function entriesFor(url: URL, hosts: readonly string[]): Entry[] {
  const host = bareHost(url);
  return hosts
    .map(readEntry)
    .filter((entry) => (entry.wildcard ? host.endsWith(`.${entry.host}`) : host === entry.host))
    .filter((entry) => entry.port === undefined || entry.port === portOf(url));
}

/**
 * Whether a list names the host of a URL, by its name, also with its port, or by `*.` and what its
 * name ends with.
 * @throws SpacesError `INVALID_INPUT` for an entry that is no host
 */
export function isNamedIn(url: URL, hosts: readonly string[]): boolean {
  return entriesFor(url, hosts).length > 0;
}

/**
 * Checks a URL against the script's network permissions.
 * @throws SpacesError `PERMISSION_DENIED` naming the flag that would allow it; `INVALID_INPUT` for a
 *   permission that is no host.
 */
export function checkPermission(url: URL, permissions: ScriptPermissions): Grant {
  const host = bareHost(url);
  const port = portOf(url);
  const { net } = permissions;
  const matching = entriesFor(url, Array.isArray(net) ? net : []);
  if (net !== true && matching.length === 0) {
    const shown = isPrivateByName(host) || url.port ? `${url.hostname}:${port}` : url.hostname;
    throw new SpacesError("PERMISSION_DENIED", `The script may not reach "${shown}".`, {
      suggestion: `Run the script with --allow-net ${shown}`,
      details: { host, port: Number(port) },
    });
  }
  return {
    privateAllowed:
      isPrivateByName(host) && matching.some((entry) => !entry.wildcard && entry.port === port),
  };
}

function refuseAddress(url: URL): SpacesError {
  const host = bareHost(url);
  const target = `${url.hostname}:${portOf(url)}`;
  return new SpacesError(
    "PERMISSION_DENIED",
    `The script may not reach "${url.hostname}": its address is not a public one.`,
    {
      suggestion: isPrivateByName(host)
        ? `Run the script with --allow-net ${target} if it shall reach this very address.`
        : "Only public addresses can be reached under this name.",
      details: { host, port: Number(portOf(url)) },
    },
  );
}

/** Guards the connection of one request; see `lookup`. */
export interface AddressGuard {
  /** For the agent: resolves, checks every address, and hands over exactly the checked ones. */
  readonly lookup: LookupFunction;
  /** Why the lookup refused, if it did: the HTTP client loses the error's class on the way. */
  readonly refusal: () => SpacesError | undefined;
}

/**
 * Makes the guard for a URL whose permission was checked. An address written out in the URL is
 * checked at once, a name when the connection is made, on the addresses that are then connected to.
 * @param refuse makes the error for an address that is not public
 * @throws SpacesError `PERMISSION_DENIED` for an address that is not public.
 */
export function guardAddress(
  url: URL,
  grant: Grant,
  resolve: Resolve,
  refuse: (url: URL) => SpacesError = refuseAddress,
): AddressGuard {
  const host = bareHost(url);
  if (ipaddr.isValid(host) && !grant.privateAllowed && !isPublicAddress(host)) {
    throw refuse(url);
  }
  let refused: SpacesError | undefined;
  const lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname).then(
      (found) => {
        const [first] = found;
        if (first === undefined) {
          callback(Object.assign(new Error("no address"), { code: "ENOTFOUND" }), "", 0);
        } else if (
          !grant.privateAllowed &&
          !found.every(({ address }) => isPublicAddress(address))
        ) {
          refused = refuse(url);
          callback(refused, "", 0);
        } else if (options.all) {
          callback(null, [...found]);
        } else {
          callback(null, first.address, first.family);
        }
      },
      (error: NodeJS.ErrnoException) => callback(error, "", 0),
    );
  };
  return { lookup, refusal: () => refused };
}
