// Starts the page, and tells its parts what happens to the connection. `?chat` opens a chat room;
// `?kiosk` reduces the page to one text box that reconnects by itself.
//
// **Invariant:** data from the network is written to text nodes only; the page's policy
// (require-trusted-types-for) forbids anything else.
import { parseAddress } from "./address.js";
import { chatRoom, isChat, start } from "./chat.js";
import * as compose from "./compose.js";
import * as connection from "./connection.js";
import { addEntry, addEvent } from "./history.js";
import { announce, call, createElement, elements, hideNotice, isKiosk, kiosk, load, on, root, scheduleRender, setKiosk, setStatus, showNotice } from "./page.js";
import * as statistics from "./statistics.js";
import * as words from "./words.js";

/** Modules that the first view does not need. */
const LATER = ["box", "compression", "failure", "files", "filter", "lists", "plot", "recall", "repeat", "room", "row-tools"];

/** Before a kiosk loads the page anew, of which a part is missing. */
const RELOAD_MS = 1000;

const { addresses, message, report } = elements;
let lastUrl = "";

connection.observe({
  onDrop() {
    chatRoom?.leave();
    compose.stopWaiting();
    statistics.forgetUnanswered();
  },

  onConnecting({ href }) {
    if (href !== lastUrl) statistics.reset();
    lastUrl = href;
    call("compression", "show");
    kiosk.onConnecting();
    compose.scheduleLinkUpdate();
  },

  onOpen(url) {
    statistics.startSession();
    hideNotice();
    setStatus("");
    addEvent(`Connection Opened with ${url}.`);
    call("compression", "show");
    compose.showLinkText();
    compose.sendWaiting();
    kiosk.onOpen();
    setTimeout(loadLater);
  },

  onMessage({ data }) {
    const isText = words.isText(data);
    const content = isText ? data : new Uint8Array(data);
    const size = words.byteLength(content);
    const event = isChat && isText && chatRoom?.parseEvent(data);
    const roundTrip = statistics.countReceived(size, !event || chatRoom.isOwn(event));
    if (event) {
      chatRoom.show(event, data, size, roundTrip);
    } else {
      addEntry("received", content, size, { roundTrip });
      announce(content);
    }
    kiosk.onMessage();
    scheduleRender();
  },

  onReplace: addCloseEvent,

  onClose(code, description, { url, wasOpen, isStopped }) {
    kiosk.onClose(code);
    if (report.open) call("report", "show");
    if (wasOpen || isStopped) {
      addCloseEvent(description, { wasOpen });
      if (!isStopped && code !== 1000) showError({ title: `Closed ${description}.`, text: words.explainCode(code) });
    } else {
      addEvent(`Unexpected Error. ${url} does not open.`);
      showError({ title: "Unexpected Error.", text: "Asking for the reason …" });
    }
  },

  onFailure(explanation) {
    addEvent(explanation.title);
    showError(explanation);
  },

  onError: showError,
});

/** Loads them once the connection is open, which they would delay, and before the server is gone, when the one
 * that explains failures is needed. */
const loadLater = () => LATER.forEach(load);

/** Loads the page anew, as nobody is there to do it. Never returns. */
function reload() {
  setTimeout(() => location.reload(), RELOAD_MS);
  return new Promise(() => {});
}

/** Adds a style sheet, and waits for it. */
function addStyle(href) {
  const link = createElement("link");
  return new Promise((resolve) => {
    link.onload = link.onerror = resolve;
    link.rel = "stylesheet";
    link.href = href;
    document.head.append(link);
  });
}

function addCloseEvent(description, { wasOpen }) {
  addEvent(`Connection Closed ${description}${wasOpen ? `; ${statistics.describeSession()}` : ""}.`);
}

function showError(explanation) {
  showNotice(explanation);
  kiosk.onError(explanation.title);
}

if (isKiosk) {
  const style = addStyle("/kiosk.css");
  const { kiosk: functions } = await load("kiosk") ?? await reload();
  await style;
  setKiosk(functions);
}
root.dataset.mode = isKiosk ? "kiosk" : "tester";
for (const path of ["/ws", "/echo", "/WebSocketGenericHandler.ashx", "/WebSocketHandler.ashx"]) {
  addresses.append(new Option("", parseAddress(path, location.href).href));
}
on(window, "offline", () => showError({ title: connection.OFFLINE }));
on(window, "online", () => {
  hideNotice();
  kiosk.onOnline();
});
// Captured, as this event does not bubble.
document.addEventListener("toggle", () => call("lists", "show"), true);
on(document, "keydown", ({ key, isComposing }) => key === "Escape" && !isComposing && call("lists", "closeOne"));
kiosk.start();
// Opening a link must not connect to another server without a click.
if ((connection.readAddress()?.host ?? location.host) === location.host) start();
else {
  addEvent("This link points to another server. Press Connect to open it.");
  setTimeout(loadLater);
}
compose.showLinkText();
message.focus();
scheduleRender();
