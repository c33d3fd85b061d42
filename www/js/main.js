// Starts the page, and tells its parts what happens to the connection. `?chat` opens a chat room;
// `?kiosk` reduces the page to one text box that reconnects by itself.
//
// **Invariant:** data from the network is written to text nodes only; the page's policy
// (require-trusted-types-for) forbids anything else.
import { isChat, isOwn, leaveRoom, showEvent } from "./chat.js";
import * as compose from "./compose.js";
import * as connection from "./connection.js";
import "./faults.js";
import { addEntry, addEvent } from "./history.js";
import { kiosk } from "./kiosk.js";
import { announce, elements, hideNotice, isKiosk, on, onInstead, root, scheduleRender, setStatus, showNotice } from "./page.js";
import * as statistics from "./statistics.js";
import * as words from "./words.js";

const { addresses, message } = elements;

connection.observe({
  onDrop() {
    leaveRoom();
    statistics.forgetUnanswered();
  },

  onConnecting() {
    kiosk.onConnecting();
    compose.scheduleLinkUpdate();
  },

  onOpen({ extensions }) {
    statistics.startSession();
    hideNotice();
    setStatus("");
    addEvent(isChat ? "Connection Opened." : "Connection Opened with the Echo server.");
    statistics.showExtensions(extensions);
    compose.sendLinkTexts();
    kiosk.onOpen();
  },

  onMessage({ data }) {
    const isText = words.isText(data);
    const content = isText ? data : new Uint8Array(data);
    const size = words.byteLength(content);
    const event = isChat && isText && words.parseEvent(data);
    statistics.countReceived(size, !event || isOwn(event));
    if (event) {
      showEvent(event, data, size);
    } else {
      addEntry("received", content, size);
      announce(content);
      if (isText) statistics.showRatios(data);
    }
    compose.sendLinkTexts();
    kiosk.onMessage();
    scheduleRender();
  },

  onClose(code, description, { wasOpen, isStopped }) {
    kiosk.onClose(code);
    if (wasOpen || isStopped) {
      addEvent(`Connection Closed ${description}${wasOpen ? `; ${statistics.describeSession()}` : ""}.`);
      if (!isStopped && code !== 1000) showError("Connection Closed.", `Closed ${description}.${words.explainCode(code)}`);
    } else {
      addEvent("Unexpected Error.");
      showError("Unexpected Error.", "Asking the server for the reason …");
    }
  },

  onFailure(text, answer) {
    addEvent(text);
    showError("Unexpected Error.", text, answer);
  },

  onError: showError,
});

function showError(title, text, answer = "") {
  showNotice(title, text, answer);
  kiosk.onError(`${text} ${answer.trim().split("\n")[0]}`);
}

function addDropListeners() {
  const showDropTarget = (isShown) => document.body.classList.toggle("dropping", isShown);
  onInstead(window, "dragover", () => showDropTarget(true));
  on(window, "dragleave", (event) => event.relatedTarget || showDropTarget(false));
  onInstead(window, "drop", ({ dataTransfer }) => {
    showDropTarget(false);
    compose.sendFiles([...dataTransfer.files]);
  });
}

root.dataset.mode = isKiosk ? "kiosk" : "tester";
for (const path of [words.DEFAULT_PATH, "/ws", "/echo"]) {
  addresses.append(new Option("", words.parseAddress(path, location.href).href));
}
on(window, "offline", () => showError("Offline.", connection.OFFLINE));
on(window, "online", () => {
  hideNotice();
  kiosk.onOnline();
});
if (!isKiosk) addDropListeners();
kiosk.start();
// Opening a link must not connect to another server without a click.
if ((connection.readAddress()?.host ?? location.host) === location.host) connection.connect();
else addEvent("This link points to another server. Press Connect to open it.");
message.focus();
scheduleRender();
