// Turns data into words, and back. Pure: it has neither document nor state.
import closeCodes from "./close-codes.js";

const MAX_ROW_CHARACTERS = 2000;
const MAX_ROW_BYTES = 512;

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

export const asBytes = (data) => (isText(data) ? encoder.encode(data) : data);
export const byteLength = (data) => asBytes(data).length;
export const asText = (data) => (isText(data) ? data : decoder.decode(data));

export function base64(data) {
  let binary = "";
  for (let at = 0; at < data.length; at += 8192) binary += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(binary);
}

export const hexByte = (byte) => byte.toString(16).padStart(2, "0");

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

/** Characters that cannot be seen, or change the look of others: controls, and format characters such as
 * U+202E, but for line breaks, tabs, and the joiners of scripts and emoji. */
const INVISIBLE = /((?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029])/u;

/** Splits at invisible characters, which have the odd places. */
export const splitInvisible = (text) => text.split(INVISIBLE);
export const codePoint = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** Whether the first letter is of a script that is written from right to left. */
export const isRightToLeft = (text) => /^\P{L}*[\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}\p{sc=Thaa}\p{sc=Nkoo}]/u.test(text);

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

/** Parses Base64, with either alphabet, padded or not; throws an error to show. */
export function parseBase64(text) {
  try {
    const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    throw new Error("Write the bytes in Base64, such as SGVsbG8=.");
  }
}

/** Parses what is typed as `text`, `hex` or `base64`; throws an error to show. */
export const parseMessage = (text, form) => ({ text: String, hex: parseHex, base64: parseBase64 })[form](text);

/** Returns undefined if the text is not JSON. */
export function parseJson(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

/** `displayText` is shown instead of `data`, after `name`. `roundTrip` is in milliseconds.
 * @typedef {{from: "sent"|"received"|"event", at: number, data: string|Uint8Array, size: number,
 *   view: "text"|"hex"|"base64"|"json", name?: string, displayText?: string, roundTrip?: number,
 *   row?: HTMLLIElement}} Entry */

/** @param {Entry} entry */
export function rowText({ data, view, size, from, displayText }) {
  if (view === "hex") return hexDump(asBytes(data));
  if (view === "base64") return truncate(base64(asBytes(data)));
  if (view === "json") return truncate(JSON.stringify(JSON.parse(asText(data)), null, 2));
  return size === 0 && from !== "event" ? "(empty)" : truncate(displayText ?? asText(data));
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
