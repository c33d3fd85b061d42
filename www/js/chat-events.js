// The events of /chat. Pure.
import { isText, parseJson } from "./words.js";

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
