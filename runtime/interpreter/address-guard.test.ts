import { describe, expect, it } from "vitest";
import { checkPermission, isPublicAddress } from "./address-guard.js";

describe("public addresses", () => {
  it.each(["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"])(
    "%s is one",
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  it.each([
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:7f00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::5efe:7f00:1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "no address",
    "",
  ])("%s is none", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe("permissions", () => {
  const allows = (net: readonly string[] | true | undefined, url: string) => {
    try {
      return checkPermission(new URL(url), { net });
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const open = { privateAllowed: false };
  const exact = { privateAllowed: true };

  it.each([
    [["example.org"], "http://example.org/", open],
    [["example.org"], "https://EXAMPLE.org.:8443/x", open],
    [["example.org"], "http://sub.example.org/", "PERMISSION_DENIED"],
    [["example.org"], "http://example.org.evil.net/", "PERMISSION_DENIED"],
    [["example.org:8080"], "http://example.org:8080/", open],
    [["example.org:8080"], "http://example.org/", "PERMISSION_DENIED"],
    [["example.org:443"], "https://example.org/", open],
    [["*.example.org"], "http://a.b.example.org/", open],
    [["*.example.org"], "http://example.org/", "PERMISSION_DENIED"],
    [["*.example.org"], "http://badexample.org/", "PERMISSION_DENIED"],
    [["bücher.example"], "http://xn--bcher-kva.example/", open],
    [true, "http://anything.example/", open],
    [undefined, "http://example.org/", "PERMISSION_DENIED"],
    [[], "http://example.org/", "PERMISSION_DENIED"],
    [true, "http://127.0.0.1:8080/", open],
    [["127.0.0.1"], "http://127.0.0.1:8080/", open],
    [["127.0.0.1:8080"], "http://127.0.0.1:8080/", exact],
    [["127.0.0.1:8080"], "http://127.0.0.1:8081/", "PERMISSION_DENIED"],
    [["127.0.0.1:8080"], "http://2130706433:8080/", exact],
    [["[::1]:80"], "http://[::1]/", exact],
    [["::1"], "http://[::1]/", open],
    [["localhost:8080"], "http://localhost.:8080/", exact],
    [["example.org:80"], "http://example.org/", open],
    [["*.localhost:80"], "http://a.localhost/", open],
  ] as const)("%j and %s: %j", (net, url, expected) => {
    expect(allows(net, url)).toEqual(expected);
  });

  it.each(["", "*", "http://example.org", "a/b", "user@host", "a:99999", "a b", "a\\b"])(
    "refuses %j as a permission",
    (entry) => {
      expect(allows([entry], "http://example.org/")).toBe("INVALID_INPUT");
    },
  );
});
