/**
 * The floor of every remote call: a bare `node:http` server that parses a JSON body and gives it
 * back. Run as a process of its own by `server.mjs`; prints its port.
 */
import { createServer } from "node:http";

const server = createServer(async (request, response) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  const body = JSON.stringify(text === "" ? { url: request.url } : JSON.parse(text));
  response.writeHead(200, { "content-type": "application/json" }).end(body);
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
