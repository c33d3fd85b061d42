// Which entries of the history a filter shows. Pure.
import { asText, isText } from "./words.js";

const KINDS = {
  all: () => true,
  sent: ({ from }) => from === "sent",
  received: ({ from }) => from === "received",
  event: ({ from }) => from === "event",
  text: ({ from, data }) => from !== "event" && isText(data),
  binary: ({ data }) => !isText(data),
};

/** Returns a predicate for entries of this kind that contain the text, in whatever letter case; null if
 * all are shown. */
export function matcher(text, kind) {
  const searched = text.toLowerCase();
  if (!searched && kind === "all") return null;
  const isOfKind = KINDS[kind];
  const content = ({ data, name = "", displayText }) => `${name} ${displayText ?? asText(data)}`.toLowerCase();
  return (entry) => isOfKind(entry) && (!searched || content(entry).includes(searched));
}
