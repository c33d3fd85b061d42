// Programs that do what the form does. Pure.

/** Quotes for a POSIX shell. */
const quote = (text) => `'${text.replace(/'/g, "'\\''")}'`;

const options = (name, values) => values.map((value) => `${name} ${quote(value)} `).join("");

/** Returns name and code of each program that connects, sends the text, and prints the answer. */
export function snippets(url, subprotocols, text, origin) {
  const [address, message, list] = [url, text, subprotocols].map((value) => JSON.stringify(value));
  const has = subprotocols.length > 0;
  return [
    ["JavaScript", `const socket = new WebSocket(${address}${has ? `, ${list}` : ""});
socket.onopen = () => socket.send(${message});
socket.onmessage = ({ data }) => console.log(data);
socket.onclose = ({ code, reason }) => console.log("closed", code, reason);`],
    ["Node.js, with ws", `import WebSocket from "ws";
const socket = new WebSocket(${address}${has ? `, ${list}` : ""}, { origin: ${JSON.stringify(origin)} });
socket.on("open", () => socket.send(${message}));
socket.on("message", (data) => { console.log(data.toString()); socket.close(); });
socket.on("error", console.error);`],
    ["Python, with websockets", `from websockets.sync.client import connect

with connect(${address}${has ? `, subprotocols=${list}` : ""}) as socket:
    socket.send(${message})
    print(socket.recv())`],
    ["websocat", `printf '%s\\n' ${quote(text)} | websocat ${options("--protocol", subprotocols)}${quote(url)}`],
    ["wsecho", `wsecho check ${quote(url)} --message ${quote(text)} ${options("--subprotocol", subprotocols)}--origin ${quote(origin)}`],
  ];
}
