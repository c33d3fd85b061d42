// Usage: node proxy.mjs PORT [ws]. A reverse proxy for that port with http-proxy, found through
// NODE_PATH; with `ws` also for upgrades. Prints its port.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [port, mode] = process.argv.slice(2);
const proxy = createRequire(import.meta.url)("http-proxy").createProxyServer({
  target: `http://127.0.0.1:${port}`,
});
const server = createServer((request, response) => proxy.web(request, response));
if (mode === "ws") {
  server.on("upgrade", (...upgrade) => proxy.ws(...upgrade));
}
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
