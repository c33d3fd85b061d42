// Sends messages: from the box, from files, from the page's link, and repeatedly. Keeps a link to
// this form in the address bar.
import { isChat, room } from "./chat.js";
import { bufferedBytes, readAddress, send as sendData, state } from "./connection.js";
import { addEntry, scrollToNewest } from "./history.js";
import { kiosk } from "./kiosk.js";
import { elements, isKiosk, on, onInstead, params, scheduleRender, setStatus } from "./page.js";
import { countSent, expectInfo } from "./statistics.js";
import * as words from "./words.js";

const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** Repeat yields to the next frame once this much is buffered, or after this time. */
const MAX_BUFFERED_BYTES = 256 * 1024;
const MAX_BURST_MS = 6;
const MAX_RECALL = 50;
/** A link's next message is sent after an answer, or after this time. */
const LINK_DELAY_MS = 500;

const { compose, message, hex, pick, file, times, every, repeat, requestInfo, subprotocols } = elements;

/** Messages for the Up key, the current position, and the unsent text. */
const recall = { texts: [], at: 0, draft: "" };
let repetition = null;
const linkTexts = params.getAll("send");
let linkTimer = 0;
/** The message that the link in the address bar sends. */
let lastText = "";
let linkUpdateTimer = 0;

/** Sends a message; returns whether that worked. `typed` is the text to recall. */
function transmit(data, typed) {
  if (!sendData(data)) {
    setStatus("The underlying connection is closed.");
    return false;
  }
  const size = words.byteLength(data);
  countSent(size);
  // A room sends it back, in the order of all messages.
  if (!room) addEntry("sent", data, size);
  scheduleRender();
  if (typed) addToRecall(typed);
  return true;
}

function addToRecall(typed) {
  if (recall.texts.at(-1) !== typed) recall.texts.push(typed);
  if (recall.texts.length > MAX_RECALL) recall.texts.shift();
  recall.at = recall.texts.length;
  lastText = hex.checked ? "" : typed;
  scheduleLinkUpdate();
}

/** Delays the update, as browsers reject an address that changes too often. */
export function scheduleLinkUpdate() {
  if (!isKiosk) linkUpdateTimer ||= setTimeout(updateLink, 500);
}

function updateLink() {
  linkUpdateTimer = 0;
  const url = readAddress();
  if (!url) return;
  const query = words.linkQuery(url, location.host, isChat, subprotocols.value, lastText);
  history.replaceState(null, "", query || location.pathname);
}

/** Returns the message in the box; undefined after an error, which is shown. */
function readMessage() {
  try {
    return hex.checked ? words.parseHex(message.value) : message.value;
  } catch (error) {
    setStatus(error.message);
  }
}

function send() {
  const data = readMessage();
  if (data === undefined || (isKiosk && !data)) return;
  setStatus("");
  if (!transmit(data, message.value)) return kiosk.onSendFailed();
  kiosk.onSent(message.value);
  message.value = "";
  message.focus();
  scrollToNewest();
}

function onKeyDown(event) {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    send();
  } else if (event.key === "ArrowUp" && !message.value.slice(0, message.selectionStart).includes("\n")) {
    moveRecall(-1, event);
  } else if (event.key === "ArrowDown" && recall.at < recall.texts.length) {
    moveRecall(1, event);
  }
}

function moveRecall(step, event) {
  const to = recall.at + step;
  if (isKiosk || to < 0 || to > recall.texts.length) return;
  event.preventDefault();
  if (recall.at === recall.texts.length) recall.draft = message.value;
  recall.at = to;
  message.value = recall.texts[to] ?? recall.draft;
}

export async function sendFiles(files) {
  for (const next of files) {
    if (next.size > MAX_FILE_BYTES) {
      setStatus(`${next.name} is larger than ${words.formatBytes(MAX_FILE_BYTES)}.`);
    } else {
      transmit(new Uint8Array(await next.arrayBuffer()));
    }
  }
  // Otherwise, choosing the same file again would not be a change.
  file.value = "";
}

/** Sends the link's next message; called again after its answer. */
export function sendLinkTexts() {
  if (!linkTexts.length) return;
  clearTimeout(linkTimer);
  if (state() !== "OPEN") return;
  const text = linkTexts.shift();
  transmit(text, text);
  linkTimer = setTimeout(sendLinkTexts, LINK_DELAY_MS);
}

function toggleRepeat() {
  if (repetition) return stopRepeat();
  const data = readMessage();
  if (data === undefined) return;
  setStatus("");
  repetition = {
    data, number: times.value === "" ? Infinity : Number(times.value), interval: Number(every.value),
    done: 0, since: performance.now(), timer: 0,
  };
  repeat.textContent = "Stop repeating";
  sendDue();
}

function sendDue() {
  const now = performance.now();
  const { data, number, interval, since } = repetition;
  const due = interval > 0 ? Math.min(number, Math.floor((now - since) / interval) + 1) : number;
  while (repetition.done < due && performance.now() - now < MAX_BURST_MS && bufferedBytes() <= MAX_BUFFERED_BYTES) {
    if (!transmit(data)) return stopRepeat();
    repetition.done += 1;
  }
  // Not `>=`, as `number` may be NaN.
  if (!(repetition.done < number)) return stopRepeat();
  repetition.timer = setTimeout(sendDue, interval > 0 ? since + repetition.done * interval - performance.now() : 0);
}

function stopRepeat() {
  clearTimeout(repetition.timer);
  repetition = null;
  repeat.textContent = "Repeat";
}

onInstead(compose, "submit", send);
on(message, "keydown", onKeyDown);
on(pick, "click", () => file.click());
on(file, "change", () => sendFiles([...file.files]));
on(repeat, "click", toggleRepeat);
// An ordinary message, which the history shows.
on(requestInfo, "click", () => expectInfo(transmit("?info")));
