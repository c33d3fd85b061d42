// Sends messages: from the box, from files, and those of the page's link, which are put into the box
// one after another. Keeps a link to this form in the address bar.
import { linkQuery } from "./address.js";
import { isChat, room } from "./chat.js";
import { readAddress, send as sendData, sessionUrl } from "./connection.js";
import { addEntry } from "./history.js";
import { call, copyText, elements, isKiosk, kiosk, on, onInstead, params, scheduleRender, setStatus } from "./page.js";
import { countSent, expectInfo } from "./statistics.js";
import * as words from "./words.js";

const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_RECALL = 50;

const { compose, message, hex, pick, file, repeat, requestInfo, subprotocols, copyLink } = elements;

/** Messages for the Up key, the current position, and the unsent text. */
const recall = { texts: [], at: 0, draft: "" };
/** Messages of the link that were not sent; the first one is in the box. */
const linkTexts = params.getAll("send");
const linkCount = linkTexts.length;
let linkUpdateTimer = 0;

/** Sends a message; returns whether that worked. `typed` is the text to recall. */
export function transmit(data, typed) {
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
}

/** Delays the update, as browsers reject an address that changes too often. */
export function scheduleLinkUpdate() {
  if (!isKiosk) linkUpdateTimer ||= setTimeout(updateLink, 500);
}

/** Keeps the unsent messages of a link, and adds no other: a reload must not repeat anything. */
function updateLink() {
  linkUpdateTimer = 0;
  const query = linkTo(linkTexts);
  if (query !== undefined) history.replaceState(null, "", query || location.pathname);
}

function linkTo(texts) {
  const url = sessionUrl() ?? readAddress();
  return url && linkQuery(url, location.href, isChat, subprotocols.value, texts);
}

/** Copies a link to this form, with the text in the box, or else the last one sent. */
function copyFormLink() {
  const text = hex.checked ? "" : message.value || recall.texts.at(-1);
  const query = linkTo([text]) ?? "";
  copyText(location.origin + location.pathname + query, copyLink);
}

/** Puts the link's next message into the box: it is seen before it is sent. */
export function showLinkText() {
  if (!linkTexts.length || (message.value && message.value !== linkTexts[0])) return;
  message.value = linkTexts[0];
  const number = linkCount - linkTexts.length + 1;
  setStatus(`Message ${number} of ${linkCount} from the link. Press Send to send it.`, false);
}

/** Returns the message in the box; undefined after an error, which is shown. */
export function readMessage() {
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
  if (linkTexts.shift() === undefined) return;
  scheduleLinkUpdate();
  showLinkText();
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

onInstead(compose, "submit", send);
on(message, "keydown", onKeyDown);
on(compose, "input", () => setStatus(""));
on(pick, "click", () => file.click());
on(file, "change", () => sendFiles([...file.files]));
on(repeat, "click", () => call("repeat", "toggle"));
on(copyLink, "click", copyFormLink);
// An ordinary message, which the history shows.
on(requestInfo, "click", () => expectInfo(transmit("?info")));
