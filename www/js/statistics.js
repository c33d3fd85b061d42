// Counts messages, and measures round trips, from each message to the next answer.
import { addRenderer, call, elements, on } from "./page.js";
import * as words from "./words.js";

const MAX_ROUND_TRIPS = 100;
/** With more unanswered messages, the server does not echo, and timing stops. */
const MAX_UNANSWERED = 100_000;

const {
  clear, sent, sentBytes, received, receivedBytes, rttLast, rttMedian, rttP99,
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
let isPlotted = false;

function newTotals() {
  return { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0 };
}

function count(direction, size) {
  for (const sums of [totals, session]) {
    sums[direction] += 1;
    sums[direction + "Bytes"] += size;
  }
}

export function countSent(size, at) {
  count("sent", size);
  sendTimes.push(at);
  if (sendTimes.length - answered > MAX_UNANSWERED) isTiming = false;
  if (!isTiming) sendTimes.length = answered = 0;
}

/** Returns the round trip in milliseconds; undefined if this is no answer. */
export function countReceived(size, isAnswer) {
  count("received", size);
  if (!isAnswer || answered >= sendTimes.length) return;
  const roundTrip = performance.now() - sendTimes[answered];
  roundTrips.push(roundTrip);
  if (roundTrips.length > MAX_ROUND_TRIPS) roundTrips.shift();
  answered += 1;
  if (answered === sendTimes.length || answered > MAX_UNANSWERED) {
    sendTimes.splice(0, answered);
    answered = 0;
  }
  return roundTrip;
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
  isPlotted ||= sorted.length > 0;
  if (isPlotted) call("plot", "draw", roundTrips, middle ?? 0, sorted.at(-1));
}

addRenderer(render);
on(clear, "click", reset);
