// The forms in which a message is copied and saved. Pure.
import { asText, hexByte, isText, parseJson } from "./words.js";

function base64(data) {
  let binary = "";
  for (let at = 0; at < data.length; at += 8192) binary += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(binary);
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
