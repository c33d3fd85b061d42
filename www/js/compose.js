// Sends messages: from the box, and those of the page's link, which are put into the box one after
// another. Keeps a link to this form in the address bar.
import { linkQuery } from "./address.js";
import { chatRoom, isChat } from "./chat.js";
import { readAddress, send as sendData, sessionUrl, state } from "./connection.js";
import { addEntry } from "./history.js";
import { call, copyText, elements, isKiosk, kiosk, on, onInstead, params, scheduleRender, setStatus } from "./page.js";
import { countSent } from "./statistics.js";
import * as words from "./words.js";

const MAX_RECALL = 50;
const LONG_TEXT = 20_000;

const { compose, message, form, pick, repeat, requestInfo, subprotocols, copyLink, format, larger, keep } = elements;

/** Messages for the Up key, the current position, and the unsent text; see recall.js. */
export const recall = { texts: [], at: 0, draft: "" };
/** Messages of the link that were not sent; the first one is in the box. */
const linkTexts = params.getAll("send");
const linkCount = linkTexts.length;
let linkUpdateTimer = 0;
/** Whether Send was pressed while the connection is being opened. */
let isWaiting = false;

/** Sends a message; returns whether that worked. `typed` is the text to recall. */
export function transmit(data, typed) {
  const at = performance.now();
  if (!sendData(data)) {
    setStatus("The underlying connection is closed.");
    return false;
  }
  const size = words.byteLength(data);
  countSent(size, at);
  // A room sends it back, in the order of all messages.
  if (!chatRoom?.room) addEntry("sent", data, size);
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
  const text = form.value !== "text" ? "" : message.value || recall.texts.at(-1);
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
    return words.parseMessage(message.value, form.value);
  } catch (error) {
    setStatus(error.message);
  }
}

function send() {
  const data = readMessage();
  if (data === undefined || (isKiosk && !data)) return;
  setStatus("");
  isWaiting = !isKiosk && state() === "CONNECTING";
  if (isWaiting) return setStatus("The message is sent once the connection is open.", false);
  if (!transmit(data, message.value)) return kiosk.onSendFailed();
  kiosk.onSent(message.value);
  message.value = "";
  message.focus();
  if (linkTexts.shift() === undefined) return;
  scheduleLinkUpdate();
  showLinkText();
}

/** Sends what Send was pressed for before the connection was open. */
export const sendWaiting = () => isWaiting && send();

/** Keeps such a message in the box, for another press of Send. */
export function stopWaiting() {
  if (isWaiting) setStatus("The message was not sent. It is still in the box.");
  isWaiting = false;
}

function onInput() {
  stopWaiting();
  setStatus("");
  // A box that grows with its text is laid out as a whole at each key.
  const isLong = message.textLength > LONG_TEXT;
  message.classList.toggle("long", isLong);
  if (isLong) return;
  // dir="auto" takes Chromium seconds for 1 MiB.
  const dir = words.isRightToLeft(message.value.slice(0, 99)) ? "rtl" : "ltr";
  if (dir !== message.dir) message.dir = dir;
}

function onKeyDown(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
}

onInstead(compose, "submit", send);
on(message, "keydown", onKeyDown);
on(compose, "input", onInput);
on(pick, "click", () => call("files", "pick"));
on(repeat, "click", () => call("repeat", "toggle"));
on(format, "click", () => call("box", "format"));
on(larger, "click", () => call("box", "toggleSize"));
on(keep, "click", () => call("saved", "keep"));
on(copyLink, "click", copyFormLink);
on(requestInfo, "click", () => call("compression", "ask"));
