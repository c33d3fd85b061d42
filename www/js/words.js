// Turns data into words, and back. Pure: it has neither document nor state.
import closeCodes from "./close-codes.js";

export const DEFAULT_PATH = "/WebSocketGenericHandler.ashx";
const MAX_ROW_CHARACTERS = 2000;
const MAX_ROW_BYTES = 512;
const MAX_LINK_TEXT = 500;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const isText = (data) => typeof data === "string";
export const formatInteger = new Intl.NumberFormat("en").format;

export function formatBytes(n) {
  if (n < 1024) return `${n} B`;
  const power = Math.min(4, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

export function formatMs(ms) {
  if (ms === undefined) return "–";
  return `${ms < 100 ? ms.toFixed(1) : formatInteger(Math.round(ms))} ms`;
}

export const formatRatio = ({ bytes, on_the_wire: wire }) => (wire ? `${(bytes / wire).toFixed(1)} : 1` : "–");

/** Returns a quantile of ascending numbers; undefined if there are none. */
export const quantile = (sorted, q) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];

const asBytes = (data) => (isText(data) ? encoder.encode(data) : data);
export const byteLength = (data) => asBytes(data).length;
export const asText = (data) => (isText(data) ? data : decoder.decode(data));
const hexByte = (byte) => byte.toString(16).padStart(2, "0");

/** Formats eight bytes a line: offset, hexadecimal, ASCII. */
export function hexDump(data) {
  const lines = [];
  const shown = [...data.subarray(0, MAX_ROW_BYTES)];
  for (let at = 0; at < shown.length; at += 8) {
    const line = shown.slice(at, at + 8);
    const ascii = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${line.map(hexByte).join(" ").padEnd(23)}  ${ascii}`);
  }
  return lines.join("\n") + omitted(data.length - MAX_ROW_BYTES, "bytes");
}

export function truncate(text) {
  return text.slice(0, MAX_ROW_CHARACTERS) + omitted(text.length - MAX_ROW_CHARACTERS, "characters");
}

function omitted(count, unit) {
  return count > 0 ? `\n… ${formatInteger(count)} more ${unit}; Copy and Save include them.` : "";
}

/** Parses bytes such as `48 65`, `4865` or `0x48, 0x65`; throws an error to show. */
export function parseHex(text) {
  const digits = text.replace(/0x|[\s,:;]/gi, "");
  if (/[^0-9a-f]/i.test(digits)) throw new Error("Write the bytes in hexadecimal, such as 48 65 6c.");
  if (digits.length % 2) throw new Error("Write two digits for each byte; one is missing.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function base64(data) {
  let binary = "";
  for (let at = 0; at < data.length; at += 8192) binary += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(binary);
}

/** Returns undefined if the text is not JSON. */
export function parseJson(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

/** `displayText` is shown instead of `data`.
 * @typedef {{from: "sent"|"received"|"event", at: number, data: string|Uint8Array, size: number,
 *   view: "text"|"hex"|"json", displayText?: string, row?: HTMLLIElement}} Entry */

/** @param {Entry} entry */
export function rowText({ data, view, size, from, displayText }) {
  if (view === "hex") return hexDump(asBytes(data));
  if (view === "json") return truncate(JSON.stringify(JSON.parse(asText(data)), null, 2));
  return size === 0 && from !== "event" ? "(empty)" : truncate(displayText ?? asText(data));
}

export function copyText({ data, view, displayText }) {
  if (view === "text" && displayText) return displayText;
  return isText(data) || view === "text" ? asText(data) : Array.from(data, hexByte).join("");
}

/** Returns a line of JSON, with a binary message in Base64. */
export function jsonLine({ from, at, data, size }) {
  const content = isText(data) ? { text: data } : { base64: base64(data) };
  return JSON.stringify({ time: new Date(at).toISOString(), from, size, ...content }) + "\n";
}

/** Returns whether a message is a JSON array or object. */
export function isJson({ data, from }) {
  const text = from === "event" ? "" : asText(data);
  return /^\s*[[{]/.test(text) && parseJson(text) !== undefined;
}

/** Returns name and meaning. */
export function closeCode(code) {
  return closeCodes[code] ?? closeCodes[`${Math.floor(code / 1000)}xxx`] ?? closeCodes.other;
}

/** Describes who closed a session and how, in the words of the server's log. */
export function describeClose({ code, reason }, { wasOpen, isStopped }) {
  if (!wasOpen) return "by the client before it was open";
  if (code === 1006) return `with 1006 ${closeCode(code).join(": ")}; browsers do not report by which end, or how`;
  // The server's answer to this page's Close need not repeat its code.
  const [by, shown] = isStopped && [1000, 1005].includes(code) ? ["client", 1000] : ["server", code];
  return `by the ${by}${shown === 1005 ? " without a code" : `: ${shown} ${closeCode(shown)[0]} ${JSON.stringify(reason)}`}`;
}

/** Returns a sentence on the code, unless describeClose says as much. */
export const explainCode = (code) => ([1005, 1006].includes(code) ? "" : ` Meaning: ${closeCode(code)[1]}.`);

/** Formats totals as the server's log has them, where `in` is what this page sent. */
export function formatTotals({ sent, sentBytes, received, receivedBytes }, ms) {
  return `sent ${sent} (${sentBytes} bytes), received ${received} (${receivedBytes} bytes), ${(ms / 1000).toFixed(3)} s`;
}

export function describeStatus(status) {
  const known = {
    404: "has nothing at this path",
    426: "got no WebSocket handshake; a proxy may drop it",
    503: "accepts no WebSocket now",
  };
  return `The server is reachable, but ${known[status] ?? `answers with ${status || "a redirect"}`}.`;
}

/** Parses a URL or a path on `base`; http(s) means ws(s). Throws an error to show. */
export function parseAddress(text, base) {
  const url = new URL(text.trim() || DEFAULT_PATH, base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  url.hash = "";
  return url;
}

export const isRoom = (url) => url?.pathname.endsWith("/chat");

/** Returns the address of a room on the server of `url` if that is a chat, else of `base`. */
export function roomAddress(url, base, fields) {
  const room = isRoom(url) ? new URL(url) : parseAddress("/chat", base);
  for (const [name, value] of Object.entries(fields)) {
    room.searchParams.delete(name);
    if (value.trim()) room.searchParams.append(name, value.trim());
  }
  return room.href;
}

/** Returns the query that makes the page of `host` fill in the form and send `text`. */
export function linkQuery(url, host, isChat, subprotocols, text) {
  const query = new URLSearchParams(isChat ? "chat" : "");
  const path = url.host === host ? url.pathname + url.search : url.href;
  if (isChat && /^\/chat(\?|$)/.test(path)) url.searchParams.forEach((value, key) => query.set(key, value));
  else if (path !== DEFAULT_PATH) query.set("url", path);
  if (subprotocols.trim()) query.set("subprotocols", subprotocols.trim());
  // Reloading the page must not repeat a message in a room.
  if (!isChat && text && text.length <= MAX_LINK_TEXT) query.set("send", text);
  return query.size ? `?${query}`.replace("?chat=", "?chat") : "";
}

/** Required fields of events; `seq` is a number, all others are strings. */
const EVENT_FIELDS = {
  __proto__: null,
  welcome: ["room", "name", "seq"], join: ["name", "at"], leave: ["name", "at"], message: ["from", "text", "at", "seq"],
};

/** Returns undefined if the text is not a valid event. */
export function parseEvent(text) {
  const event = parseJson(text);
  const fields = isText(event?.type) && EVENT_FIELDS[event.type];
  return fields && fields.every((key) => typeof event[key] === (key === "seq" ? "number" : "string")) ? event : undefined;
}

/** Returns the query parameters in /help, each with its effect. */
export const parseHelp = (text) => [...text.matchAll(/^ {2}(\S+=\S+) +(.+)$/gm)].map((match) => match.slice(1));
