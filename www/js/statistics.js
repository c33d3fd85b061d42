// Counts messages, measures round trips, from each message to the next answer, and shows what
// compression reaches.
import { addRenderer, elements, on } from "./page.js";
import * as words from "./words.js";

const MAX_ROUND_TRIPS = 100;
/** With fewer round trips, the bars do not grow wider. */
const MIN_PLOT_SLOTS = 25;
/** With more unanswered messages, the server does not echo, and timing stops. */
const MAX_UNANSWERED = 100_000;

const {
  clear, sent, sentBytes, received, receivedBytes, rttLast, rttMedian, rttP99,
  plot, plotBars, plotMedian, plotScale, compression, negotiated, offered, sentRatio, receivedRatio,
} = elements;

let totals = newTotals();
/** Totals of the current connection, and its start. */
let session = newTotals();
let sessionStart = 0;
/** Send times; the first `answered` of them have been answered. */
const sendTimes = [];
let answered = 0;
let isTiming = true;
/** In milliseconds. @type {number[]} */
let roundTrips = [];
/** Whether `?info` was sent; only the server knows the compression ratios. */
let isInfoPending = false;

function newTotals() {
  return { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0 };
}

function count(direction, size) {
  for (const sums of [totals, session]) {
    sums[direction] += 1;
    sums[direction + "Bytes"] += size;
  }
}

export function countSent(size) {
  count("sent", size);
  sendTimes.push(performance.now());
  if (sendTimes.length - answered > MAX_UNANSWERED) isTiming = false;
  if (!isTiming) sendTimes.length = answered = 0;
}

export function countReceived(size, isAnswer) {
  count("received", size);
  if (!isAnswer || answered >= sendTimes.length) return;
  roundTrips.push(performance.now() - sendTimes[answered]);
  if (roundTrips.length > MAX_ROUND_TRIPS) roundTrips.shift();
  answered += 1;
  if (answered === sendTimes.length || answered > MAX_UNANSWERED) {
    sendTimes.splice(0, answered);
    answered = 0;
  }
}

export function startSession() {
  session = newTotals();
  sessionStart = performance.now();
}

export function describeSession() {
  return words.formatTotals(session, performance.now() - sessionStart);
}

export function forgetUnanswered() {
  sendTimes.length = answered = 0;
  isTiming = true;
}

export function reset() {
  totals = newTotals();
  roundTrips = [];
}

function render() {
  sent.textContent = words.formatInteger(totals.sent);
  sentBytes.textContent = words.formatBytes(totals.sentBytes);
  received.textContent = words.formatInteger(totals.received);
  receivedBytes.textContent = words.formatBytes(totals.receivedBytes);
  const sorted = [...roundTrips].sort((a, b) => a - b);
  const middle = words.quantile(sorted, 0.5);
  rttLast.textContent = words.formatMs(roundTrips.at(-1));
  rttMedian.textContent = words.formatMs(middle);
  rttP99.textContent = words.formatMs(words.quantile(sorted, 0.99));
  renderPlot(middle ?? 0, sorted.at(-1));
}

/** Draws a bar for each round trip, the newest on the right, and the median. */
function renderPlot(middle, longest) {
  const height = (ms) => 40 * (1 - ms / (longest || 1));
  const slot = 100 / Math.max(MIN_PLOT_SLOTS, roundTrips.length);
  const left = (n) => (100 - (roundTrips.length - n - 0.5) * slot).toFixed(2);
  const path = roundTrips.map((ms, n) => `M${left(n)} 40V${Math.min(39.4, height(ms)).toFixed(2)}`);
  plotBars.setAttribute("d", path.join(""));
  plotBars.setAttribute("stroke-width", 0.7 * slot);
  for (const end of ["y1", "y2"]) plotMedian.setAttribute(end, height(middle));
  plotScale.textContent = path.length ? `last ${path.length}; maximum ${words.formatMs(longest)}; dashed: median` : "no round trips yet";
  plot.ariaLabel = `Round trips, ${plotScale.textContent}`;
}

export function showExtensions(extensions) {
  isInfoPending = false;
  compression.hidden = !extensions;
  negotiated.textContent = `Negotiated: ${extensions}`;
  offered.textContent = "";
  sentRatio.textContent = receivedRatio.textContent = "–";
}

export function expectInfo(isSent) {
  isInfoPending = isSent;
}

/** Shows the ratios in the answer to `?info`. */
export function showRatios(text) {
  const extensions = isInfoPending && words.parseJson(text)?.extensions;
  if (!extensions?.reached) return;
  isInfoPending = false;
  offered.textContent = `Offered: ${extensions.offered.join(", ")}`;
  sentRatio.textContent = words.formatRatio(extensions.reached.received);
  receivedRatio.textContent = words.formatRatio(extensions.reached.sent);
}

addRenderer(render);
on(clear, "click", reset);
