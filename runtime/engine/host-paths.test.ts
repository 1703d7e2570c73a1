import { describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import { hideHostPathsOf, hidePaths } from "./host-paths.js";

describe("what is told of the host to callers elsewhere", () => {
  it.each([
    [
      "There is no Docker socket at /home/ann/.docker/run/docker.sock.",
      "There is no Docker socket at <path>.",
    ],
    [
      "No Docker daemon listens at unix:///run/user/1000/docker.sock (ENOENT).",
      "No Docker daemon listens at unix://<path> (ENOENT).",
    ],
    [
      "Cannot find package 'x' imported from file:///srv/app/a.js, or /srv/b",
      "Cannot find package 'x' imported from file://<path>, or <path>",
    ],
    ["C:\\Users\\ann\\x cannot be run", "<path> cannot be run"],
    [
      "Docker at https://docs.docker.com/engine/install speaks API 1.30; and/or",
      "Docker at https://docs.docker.com/engine/install speaks API 1.30; and/or",
    ],
  ])("names no path: %s", (told, shown) => {
    expect(hidePaths(told)).toBe(shown);
  });

  it("names no path in the errors of drivers, and those of spaces in errors of spaces", () => {
    const unusable = new SpacesError("DRIVER_UNAVAILABLE", "/opt/bwrap cannot be run.");
    expect(hideHostPathsOf(unusable, "/data")).toMatchObject({ message: "<path> cannot be run." });
    const missing = new SpacesError("FILE_NOT_FOUND", "There is no /workspace/a; see /data/x.");
    expect(hideHostPathsOf(missing, "/data")).toMatchObject({
      message: "There is no /workspace/a; see <data>/x.",
    });
  });
});
