/** Writes `docs/errors.md` from the error registry. */
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The text of the page that lists every error code. */
export async function errorsPage() {
  const { outputFiles } = await build({
    entryPoints: [`${root}/runtime/contract/errors.ts`],
    bundle: true,
    format: "esm",
    write: false,
  });
  const { ERRORS } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
  );
  const rows = Object.entries(ERRORS).map(
    ([code, { status, message, suggestion }]) =>
      `| \`${code}\` | ${status} | ${message} | ${suggestion} |`,
  );
  return `# Errors

Every error has a stable \`code\`. A script reads it as \`error.code\`, the command line prints it, and
\`--json\` carries it. This page is made from \`runtime/contract/errors.ts\` by \`npm run docs\`.

| code | HTTP | meaning | what to do |
|---|---|---|---|
${rows.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(`${root}/docs/errors.md`, await errorsPage());
}
