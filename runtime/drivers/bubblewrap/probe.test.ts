/** What the probe says where bubblewrap cannot be used. */
import { describe, expect, it } from "vitest";
import { explainRefusal, type KernelFacts, probeBubblewrap } from "./probe.js";

const FINE: KernelFacts = {
  usernsClone: "1",
  maxUserNamespaces: "1000",
  appArmorRestricts: "0",
  inContainer: false,
};

describe("the probe of bubblewrap", () => {
  it.each([
    ["switched off", { usernsClone: "0" }, "kernel.unprivileged_userns_clone=1"],
    ["none allowed", { maxUserNamespaces: "0" }, "user.max_user_namespaces"],
    ["AppArmor", { appArmorRestricts: "1" }, "bwrap-userns-restrict"],
    ["a container", { inContainer: true }, "--security-opt"],
  ])("names the cause and the remedy: %s", (_name, change, remedy) => {
    const said = "bwrap: setting up uid map: Permission denied";
    const refusal = explainRefusal(said, { ...FINE, ...change });
    expect(refusal.reason).toContain(said);
    expect(refusal.remedy).toContain(remedy);
  });

  it("passes on what bubblewrap says where nothing explains it", () => {
    const refusal = explainRefusal("bwrap: something new", FINE);
    expect(refusal.reason).toContain("something new");
    expect(refusal.remedy).toContain("bwrap --unshare-all");
    const namespaces = explainRefusal("bwrap: No permissions to create new namespace", FINE);
    expect(namespaces.remedy).toContain("unshare --user");
  });

  it("answers whether or not bubblewrap is here", async () => {
    const probe = await probeBubblewrap();
    if (probe.usable) expect(probe.version).toMatch(/^\d+\.\d+/);
    else expect([probe.reason, probe.remedy]).not.toContain("");
  });
});
