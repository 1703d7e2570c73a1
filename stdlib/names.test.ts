import { expect, it } from "vitest";
import { camelCase, nearest } from "./names.js";

it("writes snake_case names in camelCase", () => {
  expect(camelCase("get_field")).toBe("getField");
  expect(camelCase("run")).toBe("run");
});

it("finds the name that was meant behind a slip", () => {
  const known = ["start", "stop", "restart", "get_field"];
  expect(nearest("strat", known)).toBe("start");
  expect(nearest("getfeild", known)).toBe("get_field");
  expect(nearest("GetField", known)).toBe("get_field");
});

it("suggests nothing where no name is near", () => {
  expect(nearest("frobnicate", ["start", "stop"])).toBeUndefined();
  expect(nearest("x".repeat(1000), ["start"])).toBeUndefined();
});
