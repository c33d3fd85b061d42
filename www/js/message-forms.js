// The forms in which a message is copied and saved. Pure.
import { asBytes, asText, base64, hexByte, isText, parseJson } from "./words.js";

export function copyText({ data, view, name, displayText }) {
  if (view === "text" && displayText !== undefined) return `${name}: ${displayText}`;
  if (view === "base64") return base64(asBytes(data));
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
