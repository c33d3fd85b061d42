// Sends the message in the box repeatedly.
import { readMessage, transmit } from "./compose.js";
import { bufferedBytes } from "./connection.js";
import { parseCount, parseInterval } from "./duration.js";
import { elements, setStatus } from "./page.js";

/** Yields to the next frame once this much is buffered, or after this time. */
const MAX_BUFFERED_BYTES = 256 * 1024;
const MAX_BURST_MS = 6;

const { times, every, repeat } = elements;
let repetition = null;

/** Starts to repeat, or stops. */
export function toggle() {
  if (repetition) return stop();
  const data = readMessage();
  if (data === undefined) return;
  try {
    repetition = {
      data, number: parseCount(times.value), interval: parseInterval(every.value),
      done: 0, since: performance.now(), timer: 0,
    };
  } catch (error) {
    return setStatus(error.message);
  }
  setStatus("");
  repeat.textContent = "Stop repeating";
  sendDue();
}

function sendDue() {
  const now = performance.now();
  const { data, number, interval, since } = repetition;
  const due = interval > 0 ? Math.min(number, Math.floor((now - since) / interval) + 1) : number;
  while (repetition.done < due && performance.now() - now < MAX_BURST_MS && bufferedBytes() <= MAX_BUFFERED_BYTES) {
    if (!transmit(data)) return stop();
    repetition.done += 1;
  }
  if (repetition.done === number) return stop();
  repetition.timer = setTimeout(sendDue, interval > 0 ? since + repetition.done * interval - performance.now() : 0);
}

function stop() {
  clearTimeout(repetition.timer);
  repetition = null;
  repeat.textContent = "Repeat";
}
