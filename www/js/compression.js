// Shows what compression was negotiated, and what it reaches, which only the server knows.
import { transmit } from "./compose.js";
import { extensions, listen } from "./connection.js";
import { elements } from "./page.js";
import { formatRatio, parseJson } from "./words.js";

const { compression, negotiated, offered, sentRatio, receivedRatio } = elements;

/** Shows the extensions of the connection; hides all if there are none. */
export function show() {
  compression.hidden = !extensions();
  negotiated.textContent = `Negotiated: ${extensions()}`;
  offered.textContent = "";
  sentRatio.textContent = receivedRatio.textContent = "–";
}

/** Asks by an ordinary message, which the history shows. */
export function ask() {
  let isPending = transmit("?info");
  if (isPending) listen("message", ({ data }) => (isPending &&= !showRatios(data)));
}

/** Shows the ratios in the answer to `?info`. Returns whether this is that answer. */
function showRatios(data) {
  const told = parseJson(data)?.extensions;
  if (!told?.reached) return false;
  offered.textContent = `Offered: ${told.offered.join(", ")}`;
  sentRatio.textContent = formatRatio(told.reached.received);
  receivedRatio.textContent = formatRatio(told.reached.sent);
  return true;
}
