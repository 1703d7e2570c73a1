/** The reference at /docs: one page of plain HTML made from the OpenAPI document, with no script. */
import type { OpenAPI } from "@orpc/openapi";
import type { ApiDocument } from "./openapi.js";

/** Nothing but the page's own style. */
export const REFERENCE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#ddd, #444); --dim: light-dark(#666, #aaa); --code: light-dark(#f5f5f5, #222); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 2rem 1rem; max-width: 62rem; }
nav ul { columns: 16rem; padding: 0; list-style: none; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1rem; }
h3 code { font-size: 1rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
.dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
pre { background: var(--code); overflow: auto; padding: 0.75rem; }
`;

const METHODS = ["get", "post", "put", "patch", "delete"] as const;

interface Entry {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly operation: OpenAPI.OperationObject;
}

/** The page of a document. */
export function referencePage(document: ApiDocument): string {
  const entries = entriesOf(document);
  const tags = [...new Set(entries.map(({ operation }) => operation.tags?.[0] ?? "other"))];
  const base = document.servers?.[0]?.url ?? "";
  const links = entries.map(({ id }) => `<li><a href="#${escaped(id)}">${escaped(id)}</a></li>`);
  const sections = tags.map((tag) => {
    const own = entries.filter(({ operation }) => (operation.tags?.[0] ?? "other") === tag);
    return `<section><h2>${escaped(tag)}</h2>${own.map((entry) => article(entry, base)).join("")}</section>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(document.info.title)} ${escaped(document.info.version)}: HTTP reference</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escaped(document.info.title)} ${escaped(document.info.version)}</h1>
<p>${escaped(document.info.description ?? "")}</p>
<p>Send your token as <code>authorization: Bearer spt_…</code>. The same as data: <a href="openapi.json">openapi.json</a>.</p>
<nav><ul>${links.join("")}</ul></nav>
${sections.join("\n")}
</body>
</html>
`;
}

function entriesOf(document: ApiDocument): Entry[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item?.[method];
      if (operation === undefined) return [];
      return [{ id: operation.operationId ?? `${method}-${path}`, method, path, operation }];
    }),
  );
}

function article({ id, method, path, operation }: Entry, base: string): string {
  return `<article id="${escaped(id)}">
<h3><span class="method">${method.toUpperCase()}</span> <code>${escaped(base + path)}</code></h3>
<p>${escaped(operation.summary ?? "")} <span class="dim">${escaped(id)}</span></p>
${operation.description === undefined ? "" : `<p>${escaped(operation.description)}</p>`}
${parametersTable(operation)}
${bodyOf("Body", operation.requestBody)}
${Object.entries(operation.responses ?? {})
  .map(([status, response]) => answerOf(status, response))
  .join("")}
</article>`;
}

function parametersTable({ parameters = [] }: OpenAPI.OperationObject): string {
  const rows = parameters.flatMap((parameter) =>
    "$ref" in parameter
      ? []
      : [
          `<tr><td><code>${escaped(parameter.name)}</code></td><td>${escaped(parameter.in)}</td><td>${
            parameter.required === true ? "required" : ""
          }</td><td><code>${escaped(JSON.stringify(parameter.schema ?? {}))}</code></td></tr>`,
        ],
  );
  if (rows.length === 0) return "";
  return `<table><tr><th>name</th><th>in</th><th></th><th>schema</th></tr>${rows.join("")}</table>`;
}

function answerOf(
  status: string,
  response: OpenAPI.ResponseObject | OpenAPI.ReferenceObject,
): string {
  if ("$ref" in response) return "";
  if (Number(status) >= 400) {
    return `<p><strong>${escaped(status)}</strong> ${escaped(response.description)}</p>`;
  }
  return bodyOf(`Answer ${status}`, response);
}

function bodyOf(
  title: string,
  holder: OpenAPI.ResponseObject | OpenAPI.RequestBodyObject | OpenAPI.ReferenceObject | undefined,
): string {
  if (holder === undefined || "$ref" in holder) return "";
  return Object.entries(holder.content ?? {})
    .map(
      ([type, { schema }]) =>
        `<details><summary>${escaped(title)}: ${escaped(type)}</summary><pre>${escaped(
          JSON.stringify(schema ?? {}, undefined, 2),
        )}</pre></details>`,
    )
    .join("");
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
