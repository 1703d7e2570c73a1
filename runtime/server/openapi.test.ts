import { isContractProcedure } from "@orpc/contract";
import { afterAll, beforeAll, expect, it } from "vitest";
import { contract } from "../contract/contract.js";
import { openTestServer, type TestServer } from "./test-server.js";

let test: TestServer;
beforeAll(async () => {
  test = await openTestServer();
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
});

/** The names of all procedures of the contract. */
function procedures(): string[] {
  return Object.entries(contract).flatMap(([domain, actions]) =>
    Object.entries(actions)
      .filter(([, action]) => isContractProcedure(action))
      .map(([action]) => `${domain}.${action}`),
  );
}

const METHODS = ["get", "post", "put", "patch", "delete"];

it("describes every procedure of the contract, and the server answers each on its path", async () => {
  const { body, headers } = await test.call("GET", "/openapi.json", { token: null });
  expect(headers.get("content-type")).toBe("application/json");
  expect(body.openapi).toMatch(/^3\.1/);
  expect(body.components.securitySchemes.token).toMatchObject({ type: "http", scheme: "bearer" });
  const described: string[] = [];
  for (const [path, item] of Object.entries<Record<string, { operationId: string }>>(body.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      expect(METHODS).toContain(method);
      described.push(operation.operationId);
      if (operation.operationId === "processes.attach") continue;
      const real = path.replaceAll(/\{\w+\}/g, "x");
      const url = body.servers[0].url + real;
      const anonymous = await test.call(method.toUpperCase(), url, { token: null });
      expect(anonymous.status, `${method} ${path}`).toBe(401);
      const answer = await test.call(method.toUpperCase(), `${url}?nothing=of-this`);
      expect(answer.body.code, `${method} ${path}`).toBe("INVALID_INPUT");
    }
  }
  expect(described.sort()).toEqual([...procedures(), "processes.attach"].sort());
});

it("describes errors as problems, and bytes as bytes", async () => {
  const { paths, components } = (await test.call("GET", "/openapi.json")).body;
  const run = paths["/spaces/{space}/processes/run"].post;
  expect(Object.keys(run.responses["409"].content)).toEqual(["application/problem+json"]);
  expect(run.responses["409"].description).toContain("SPACE_NOT_RUNNING");
  expect(components.schemas.Problem.required).toContain("requestId");
  const content = paths["/spaces/{space}/files/content"];
  expect(Object.keys(content.put.requestBody.content)).toEqual(["application/octet-stream"]);
  expect(Object.keys(content.get.responses["200"].content)).toEqual(["application/octet-stream"]);
});

it("describes maps as maps, in bodies and in queries, and every value as something", async () => {
  const { paths } = (await test.call("GET", "/openapi.json")).body;
  const { properties } = paths["/spaces"].post.requestBody.content["application/json"].schema;
  for (const map of ["env", "fields", "metadata"]) {
    expect(properties[map], map).toMatchObject({
      type: "object",
      additionalProperties: { type: "string" },
    });
  }
  const query = paths["/spaces"].get.parameters as { name: string; schema: unknown }[];
  expect(query.find(({ name }) => name === "metadata")?.schema).toMatchObject({ type: "object" });
  const empty: string[] = [];
  const look = (value: unknown, at: string): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      // What an event stream ends with is of no kind.
      if (at.includes("/text/event-stream/") || key === "default") continue;
      if (at.endsWith("/properties") && JSON.stringify(inner) === "{}") empty.push(`${at}/${key}`);
      look(inner, `${at}/${key}`);
    }
  };
  look(paths, "");
  expect(empty).toEqual([]);
});

it("shows a reference that loads nothing from elsewhere and runs no script", async () => {
  const { body, headers } = await test.call("GET", "/docs", { token: null });
  expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  for (const name of procedures()) expect(body).toContain(`id="${name}"`);
  expect(body).not.toMatch(/<script|https?:\/\/|<link|<img/);
});

it("routes no path to two procedures", () => {
  const routes = Object.values(contract).flatMap((actions) =>
    Object.values(actions).map((action) => {
      const { method, path } = action["~orpc"].route;
      return `${method} ${path?.replaceAll(/\{\w+\}/g, "{}")}`;
    }),
  );
  expect(new Set(routes).size).toBe(routes.length);
});
