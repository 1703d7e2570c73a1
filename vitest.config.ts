import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{runtime,stdlib,cli,test}/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A busy machine takes its time; what never happens is found out all the same.
    expect: { poll: { timeout: 15_000 } },
    pool: "forks",
  },
});
