import { expect, it } from "vitest";
import { placeOf } from "./cp.js";

it.each([
  ["dev:app", { space: "dev", path: "app" }],
  ["dev:", { space: "dev", path: "" }],
  ["dev:/workspace/a:b\nc", { space: "dev", path: "/workspace/a:b\nc" }],
  ["spc_0123456789abcdefghij:a", { space: "spc_0123456789abcdefghij", path: "a" }],
  ["./dev:app", { space: undefined, path: "./dev:app" }],
  ["/a:b", { space: undefined, path: "/a:b" }],
  ["Dev:app", { space: undefined, path: "Dev:app" }],
  ["-", { space: undefined, path: "-" }],
  ["a", { space: undefined, path: "a" }],
])("%j is %j", (text, place) => {
  expect(placeOf(text, "linux")).toEqual(place);
});

it("takes a letter with a path for a drive, on Windows only", () => {
  expect(placeOf("c:\\a", "win32")).toEqual({ space: undefined, path: "c:\\a" });
  expect(placeOf("c:/a", "win32")).toEqual({ space: undefined, path: "c:/a" });
  expect(placeOf("c:a", "win32")).toEqual({ space: "c", path: "a" });
  expect(placeOf("c:/a", "linux")).toEqual({ space: "c", path: "/a" });
});
