// Usage: node server.mjs. An echo server with ws, found through NODE_PATH. Prints its port.
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(import.meta.url)("ws");
const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
server.on("connection", (client) => {
  client.on("message", (data, isBinary) => client.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(server.address().port));
