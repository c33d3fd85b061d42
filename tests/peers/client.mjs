// Usage: node client.mjs URL. Echoes over permessage-deflate with ws, found through NODE_PATH, and
// prints the negotiated extensions.
import assert from "node:assert";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";

const WebSocket = createRequire(import.meta.url)("ws");
const client = new WebSocket(process.argv[2], { perMessageDeflate: { threshold: 0 } });
let agreed;
client.on("upgrade", (response) => (agreed = response.headers["sec-websocket-extensions"]));
await once(client, "open");
assert.match(client.extensions, /permessage-deflate/);
for (const message of ["", "hello", "héllo ".repeat(20_000), Buffer.alloc(300_000), randomBytes(70_000)]) {
  client.send(message);
  const [data, isBinary] = await once(client, "message", { signal: AbortSignal.timeout(20_000) });
  assert.strictEqual(isBinary, typeof message !== "string");
  assert.deepStrictEqual(data, Buffer.from(message));
}
client.send("many ", { fin: false });
client.send("pieces ".repeat(1000), { fin: true });
const [pieces] = await once(client, "message");
assert.strictEqual(pieces.toString(), `many ${"pieces ".repeat(1000)}`);
client.close(1000);
const [code] = await once(client, "close");
assert.strictEqual(code, 1000);
console.log(agreed);
