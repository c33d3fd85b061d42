// The page of wsecho: connects a WebSocket, sends messages, and shows the history, the latency and
// the reason of a failure. `?chat` opens it on a chat room. `?kiosk` reduces it to one text box
// that reconnects by itself.
//
// **Invariant:** data from the network is written to text nodes only; the page's policy
// (require-trusted-types-for) forbids anything else.

/** `displayText` is shown instead of `data`.
 * @typedef {{from: "sent"|"received"|"event", at: number, data: string|Uint8Array, size: number,
 *   view: "text"|"hex"|"json", displayText?: string, row?: HTMLLIElement}} Entry */

const DEFAULT_PATH = "/WebSocketGenericHandler.ashx";
const OFFERED_PATHS = [DEFAULT_PATH, "/ws", "/echo"];
const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];

/** Limits of the history, so that a page can stay open for months. */
const MAX_ENTRIES = 1000;
const MAX_HISTORY_BYTES = 16 * 1024 * 1024;
/** Limits of one row; Copy and Save use the whole message. */
const MAX_ROW_CHARACTERS = 2000;
const MAX_ROW_BYTES = 512;
/** Round trips that are plotted. */
const MAX_ROUND_TRIPS = 100;
/** With fewer round trips than this, the bars of the plot do not grow wider. */
const MIN_PLOT_SLOTS = 25;
/** With more unanswered messages than this, the server does not echo, and timing stops. */
const MAX_UNANSWERED = 100_000;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** Repeat yields to the next frame once this much is buffered, or after this time. */
const MAX_BUFFERED_BYTES = 256 * 1024;
const MAX_BURST_MS = 6;
/** Messages that the Up key recalls. */
const MAX_RECALL = 50;
/** Members that are listed; the count includes all. */
const MAX_LISTED_MEMBERS = 100;
/** Longest message that the page's link includes. */
const MAX_LINK_TEXT = 500;
/** A link's next message is sent after the answer to the previous one, or after this time. */
const LINK_DELAY_MS = 500;
const ANNOUNCE_MS = 1000;
const FETCH_TIMEOUT_MS = 5000;
const OFFLINE = "This device is offline.";

const root = document.documentElement;
const params = new URLSearchParams(location.search);
const isKiosk = params.has("kiosk");
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The elements of the page by id. */
const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));

// --- Formatting

const timeFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const integer = new Intl.NumberFormat("en");

function formatBytes(n) {
  if (n < 1024) return `${n} B`;
  const power = Math.min(4, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

function formatMs(ms) {
  if (ms === undefined) return "–";
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${integer.format(Math.round(ms))} ms`;
}

/** Formats eight bytes a line: offset, hexadecimal, ASCII. */
function hexDump(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, MAX_ROW_BYTES); at += 8) {
    const line = [...data.subarray(at, Math.min(at + 8, MAX_ROW_BYTES))];
    const digits = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${digits.padEnd(23)}  ${ascii}`);
  }
  return lines.join("\n") + omitted(data.length - MAX_ROW_BYTES, "bytes");
}

function truncate(text) {
  return text.slice(0, MAX_ROW_CHARACTERS) + omitted(text.length - MAX_ROW_CHARACTERS, "characters");
}

function omitted(count, unit) {
  return count > 0 ? `\n… ${integer.format(count)} more ${unit}; Copy and Save include them.` : "";
}

/** Parses bytes such as `48 65`, `4865` or `0x48, 0x65`; throws an error to show otherwise. */
function parseHex(text) {
  const digits = text.replace(/0x|[\s,:;]/gi, "");
  if (/[^0-9a-f]/i.test(digits)) throw new Error("Write the bytes in hexadecimal, such as 48 65 6c.");
  if (digits.length % 2) throw new Error("Write two digits for each byte; one is missing.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Close codes (RFC 6455, section 7.4, and the IANA registry); src/session/end.rs has the same. */
const CLOSE_CODES = {
  1000: "Normal Closure: the connection has served its purpose",
  1001: "Going Away: one end is leaving, such as a server that stops or a page that was left",
  1002: "Protocol Error: a frame broke the WebSocket protocol",
  1003: "Unsupported Data: data of this type is not accepted",
  1005: "No Status Received: the Close had no code",
  1006: "Abnormal Closure: the connection ended without a closing handshake",
  1007: "Invalid Frame Payload Data: the data does not match its type, such as text that is not UTF-8",
  1008: "Policy Violation: a message broke a rule of this endpoint",
  1009: "Message Too Big: the message is larger than the receiver accepts",
  1010: "Mandatory Extension: the server did not agree on an extension that the client needs",
  1011: "Internal Error: an unexpected condition kept the server from going on",
  1012: "Service Restart: the service restarts, connect again",
  1013: "Try Again Later: the service is overloaded, connect again later",
  1014: "Bad Gateway: a gateway got an invalid response from the server behind it",
  1015: "TLS Handshake: the TLS handshake failed",
  3000: "Unauthorized: the client has to authenticate first",
  3003: "Forbidden: the client is not allowed to do this",
  3008: "Timeout: the client took too long",
};

/** Returns `Name: meaning`. */
function closeCodeMeaning(code) {
  const range = { 3: "Registered Code: defined by a library or framework", 4: "Private Use: defined by the application" };
  return CLOSE_CODES[code] ?? range[Math.floor(code / 1000)] ?? "Unassigned: no meaning is registered";
}

// --- History: entries are added at once, and rows are created once for each frame

/** @type {Entry[]} */
const entries = [];
/** @type {WeakMap<Element, Entry>} */
const entryOf = new WeakMap();
let historyBytes = 0;
let dropped = 0;
let isFollowing = true;
let animationFrame = 0;
let nextRender = 0;

/** Adds an entry, except in the kiosk, which shows no history. */
function addEntry(from, data, size = 0, more = {}) {
  if (isKiosk) return;
  entries.push({ from, at: Date.now(), data, size, view: typeof data === "string" ? "text" : "hex", ...more });
  historyBytes += size;
  while (entries.length > MAX_ENTRIES || (historyBytes > MAX_HISTORY_BYTES && entries.length > 1)) {
    historyBytes -= entries.shift().size;
    dropped += 1;
  }
  scheduleRender();
}

function addEvent(text, more) {
  addEntry("event", text, 0, more);
}

function scheduleRender() {
  animationFrame ||= requestAnimationFrame(render);
}

/** Renders, and then pauses four times as long as that took: in a flood, rows that are dropped
 * before anyone can read them must not slow down the messages. */
function render(now) {
  animationFrame = 0;
  if (now < nextRender) return scheduleRender();
  renderHistory();
  renderStatistics();
  renderMembers();
  const end = performance.now();
  nextRender = end + 4 * (end - now);
}

function renderHistory() {
  let old = entries.length;
  while (old > 0 && !entries[old - 1].row) old -= 1;
  for (let surplus = page.history.childElementCount - old; surplus > 0; surplus -= 1) {
    removeRow(page.history.firstElementChild);
  }
  page.history.append(...entries.slice(old).map(createRow));
  page.dropped.textContent = dropped ? `${integer.format(dropped)} older entries dropped` : "";
  if (isFollowing) page.history.scrollTop = page.history.scrollHeight;
}

function createRow(entry) {
  const row = document.createElement("li");
  row.dataset.from = entry.from;
  row.tabIndex = -1;
  const arrow = { sent: "↑", received: "↓", event: "·" }[entry.from];
  row.append(
    createElement("span", "arrow", arrow),
    createElement("time", "", timeFormat.format(entry.at)),
    createElement("span", "size", entry.from === "event" ? "" : formatBytes(entry.size)),
    createElement("span", "content", rowText(entry)),
  );
  row.firstChild.title = entry.from;
  entry.row = row;
  entryOf.set(row, entry);
  return row;
}

function createElement(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function rowText({ data, view, size, from, displayText }) {
  if (view === "hex") return hexDump(typeof data === "string" ? encoder.encode(data) : data);
  if (view === "json") return truncate(JSON.stringify(JSON.parse(asText(data)), null, 2));
  return size === 0 && from !== "event" ? "(empty)" : truncate(displayText ?? asText(data));
}

function asText(data) {
  return typeof data === "string" ? data : decoder.decode(data);
}

function removeRow(row) {
  if (row.contains(page.tools)) hideTools();
  row.remove();
}

function clear() {
  entries.length = 0;
  historyBytes = dropped = 0;
  resetStatistics();
  hideTools();
  page.history.replaceChildren();
  scheduleRender();
}

/** Saves the history as JSON lines, with binary messages as Base64. */
function save() {
  const lines = entries.map(({ from, at, data, size }) => {
    const content = typeof data === "string" ? { text: data } : { base64: base64(data) };
    return JSON.stringify({ time: new Date(at).toISOString(), from, size, ...content }) + "\n";
  });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.download = `wsecho-${new Date().toISOString().replace(/[:.]/g, "-")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function base64(data) {
  let binary = "";
  for (let at = 0; at < data.length; at += 8192) binary += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(binary);
}

// All rows share one set of tools: three buttons in each of a thousand rows would be three thousand
// stops of the Tab key.

function selectRow(row) {
  const entry = entryOf.get(row);
  if (row.contains(page.tools) || !entry) return;
  hideTools();
  row.classList.add("selected");
  row.append(page.tools);
  page.tools.hidden = false;
  page["as-json"].hidden = !isJson(entry);
  page["as-hex"].hidden = entry.from === "event";
  updateViewButtons(entry);
}

function hideTools() {
  page.tools.closest("li")?.classList.remove("selected");
  page.tools.hidden = true;
  page.log.append(page.tools);
}

function isJson({ data, from }) {
  const text = from === "event" ? "" : asText(data);
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function updateViewButtons({ view }) {
  page["as-hex"].ariaPressed = String(view === "hex");
  page["as-json"].ariaPressed = String(view === "json");
}

function selectedEntry() {
  return entryOf.get(page.tools.closest("li"));
}

/** Shows the selected message in this view, or as text if it was in this view already. */
function toggleView(view) {
  const entry = selectedEntry();
  entry.view = entry.view === view ? "text" : view;
  entry.row.querySelector(".content").textContent = rowText(entry);
  updateViewButtons(entry);
}

async function copy() {
  const { data, view, displayText } = selectedEntry();
  const text = view === "text" && displayText ? displayText : typeof data === "string" || view === "text" ? asText(data) : toHex(data);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // the clipboard needs HTTPS, or a loopback address
  }
  setStatus("Copied.", false);
}

function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function copyBySelection(text) {
  const box = document.createElement("textarea");
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
  page.copy.focus();
}

function onHistoryKeyDown(event) {
  const rows = page.history.children;
  const row = event.target.closest("li");
  const to = {
    ArrowUp: row ? row.previousElementSibling : rows[rows.length - 1],
    ArrowDown: row ? row.nextElementSibling : rows[0],
    Home: rows[0],
    End: rows[rows.length - 1],
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to.focus();
}

function onHistoryScroll() {
  const { scrollTop, clientHeight, scrollHeight } = page.history;
  isFollowing = scrollHeight - scrollTop - clientHeight < 24;
  page.newest.hidden = isFollowing;
}

function scrollToNewest() {
  isFollowing = true;
  page.newest.hidden = true;
  scheduleRender();
}

// --- Statistics: totals, and round trips, each from a message to the next answer in order

const totals = newTotals();
/** Totals of the current connection. */
let session = newTotals();
/** Send times; the first `answered` of them have been answered. */
let sendTimes = [];
let answered = 0;
let isTiming = true;
/** The last round trips in milliseconds. @type {number[]} */
let roundTrips = [];

function newTotals() {
  return { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, since: performance.now() };
}

function count(direction, size) {
  for (const sums of [totals, session]) {
    sums[direction] += 1;
    sums[direction + "Bytes"] += size;
  }
}

function countSent(size) {
  count("sent", size);
  sendTimes.push(performance.now());
  if (sendTimes.length - answered > MAX_UNANSWERED) isTiming = false;
  if (!isTiming) sendTimes.length = answered = 0;
}

function countReceived(size, isAnswer) {
  count("received", size);
  if (!isAnswer || answered >= sendTimes.length) return;
  roundTrips.push(performance.now() - sendTimes[answered]);
  if (roundTrips.length > MAX_ROUND_TRIPS) roundTrips.shift();
  answered += 1;
  if (answered === sendTimes.length) sendTimes.length = answered = 0;
  else if (answered > MAX_UNANSWERED) sendTimes = sendTimes.slice(answered), answered = 0;
}

/** Resets what belongs to one connection: the room, and messages without an answer. */
function resetConnection() {
  setRoom(null);
  sendTimes = [];
  answered = 0;
  isTiming = true;
}

function resetStatistics() {
  Object.assign(totals, newTotals());
  roundTrips = [];
}

function renderStatistics() {
  page.sent.textContent = integer.format(totals.sent);
  page["sent-bytes"].textContent = formatBytes(totals.sentBytes);
  page.received.textContent = integer.format(totals.received);
  page["received-bytes"].textContent = formatBytes(totals.receivedBytes);
  const sorted = [...roundTrips].sort((a, b) => a - b);
  const quantile = (q) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  page["rtt-last"].textContent = formatMs(roundTrips.at(-1));
  page["rtt-median"].textContent = formatMs(quantile(0.5));
  page["rtt-p99"].textContent = formatMs(quantile(0.99));
  renderPlot(quantile(0.5), sorted.at(-1));
}

/** Draws a bar for each round trip, the newest on the right, and a dashed line for the median. */
function renderPlot(median, longest) {
  const height = (ms) => 40 * (1 - ms / (longest || 1));
  const slot = 100 / Math.max(MIN_PLOT_SLOTS, roundTrips.length);
  const left = (n) => (100 - (roundTrips.length - n - 0.5) * slot).toFixed(2);
  const bars = roundTrips.map((ms, n) => `M${left(n)} 40V${Math.min(39.4, height(ms)).toFixed(2)}`);
  page["plot-bars"].setAttribute("d", bars.join(""));
  page["plot-bars"].setAttribute("stroke-width", 0.7 * slot);
  for (const end of ["y1", "y2"]) page["plot-median"].setAttribute(end, height(median ?? 0));
  page["plot-scale"].textContent = !bars.length ? "no round trips yet" : `last ${bars.length}; maximum ${formatMs(longest)}; dashed: median`;
  page.plot.ariaLabel = `Round trips, ${page["plot-scale"].textContent}`;
}

// --- Connection

/** @type {WebSocket|null} */
let socket = null;
/** True once Stop was pressed. */
let isStopped = false;
/** Messages of the link that are still to be sent. */
const linkTexts = params.getAll("send");
let linkTimer = 0;

/** Parses the address; a path means this server, and http(s) means ws(s). Throws if invalid. */
function parseAddress() {
  const url = new URL(page.address.value.trim() || DEFAULT_PATH, location.href);
  url.protocol = url.protocol.replace(/^http/, "ws");
  url.hash = "";
  return url;
}

/** Does the same, but returns undefined if the address is invalid. */
function tryParseAddress() {
  try {
    return parseAddress();
  } catch {
    return undefined;
  }
}

/** Opens a WebSocket to the address in the form, and drops the current one. */
function connect() {
  disconnect();
  isStopped = false;
  let url;
  try {
    url = parseAddress();
    socket = new WebSocket(url, page.subprotocols.value.split(/[\s,]+/).filter(Boolean));
  } catch (error) {
    showState();
    return showError("Cannot connect.", error.message);
  }
  socket.binaryType = "arraybuffer";
  const attempt = { url, wasOpen: false };
  listen("open", (event) => onOpen(event, attempt));
  listen("message", onMessage);
  listen("close", (event) => onClose(event, attempt));
  showState();
  kiosk.onConnecting();
  scheduleLinkUpdate();
}

/** Adds a listener to the current socket, which is not called once the socket has been dropped. */
function listen(type, listener) {
  const current = socket;
  current.addEventListener(type, (event) => socket === current && listener(event));
}

/** Drops the socket without waiting for its closing handshake. */
function disconnect() {
  const previous = socket;
  socket = null;
  resetConnection();
  previous?.close(1000);
}

function stop() {
  if (!socket || socket.readyState > WebSocket.OPEN) return;
  isStopped = true;
  socket.close(1000);
  showState();
}

function isOpen() {
  return socket?.readyState === WebSocket.OPEN;
}

function onOpen(_, attempt) {
  attempt.wasOpen = true;
  session = newTotals();
  page.notice.hidden = true;
  setStatus("");
  addEvent(isChat ? "Connection Opened." : "Connection Opened with the Echo server.");
  showState(socket.protocol && `subprotocol ${socket.protocol}`);
  showCompression();
  sendLinkTexts();
  kiosk.onOpen();
}

/** Sends the next message of the link, and the others after its answer or LINK_DELAY_MS. */
function sendLinkTexts() {
  clearTimeout(linkTimer);
  if (!linkTexts.length || !isOpen()) return;
  const text = linkTexts.shift();
  transmit(text, text);
  linkTimer = setTimeout(sendLinkTexts, LINK_DELAY_MS);
}

function onMessage({ data }) {
  const isText = typeof data === "string";
  const message = isText ? data : new Uint8Array(data);
  const size = isText ? encoder.encode(data).length : data.byteLength;
  const event = isChat && isText && parseEvent(data);
  countReceived(size, !event || isOwn(event));
  if (event) {
    onChatEvent(event, data, size);
  } else {
    addEntry("received", message, size);
    announce(message);
    if (isText && isInfoPending) onInfo(data);
  }
  if (linkTexts.length) sendLinkTexts();
  kiosk.onMessage();
  scheduleRender();
}

function onClose(event, { url, wasOpen }) {
  resetConnection();
  const description = describeClose(event, wasOpen);
  showState(wasOpen || isStopped ? description : "");
  kiosk.onClose(event.code);
  if (wasOpen || isStopped) {
    addEvent(`Connection Closed ${description}${wasOpen ? `; ${formatTotals()}` : ""}.`);
    if (!isStopped && event.code !== 1000) showError("Connection Closed.", `Closed ${description}.${explainCode(event.code)}`);
    return;
  }
  addEvent("Unexpected Error.");
  showError("Unexpected Error.", "Asking the server for the reason …");
  explainFailure(url, socket);
}

/** Describes which end closed a session and how, in the words of the server's log. */
function describeClose({ code, reason }, wasOpen) {
  if (!wasOpen) return "by the client before it was open";
  if (code === 1006) return `with 1006 ${closeCodeMeaning(code)}; browsers do not report by which end, or how`;
  // The server's answer to this page's Close need not repeat its code.
  const [by, shown] = isStopped && [1000, 1005].includes(code) ? ["client", 1000] : ["server", code];
  return `by the ${by}${shown === 1005 ? " without a code" : `: ${shown} ${closeCodeMeaning(shown).split(":")[0]} ${JSON.stringify(reason)}`}`;
}

/** Returns a sentence on the code, unless describeClose says as much. */
function explainCode(code) {
  return code === 1005 || code === 1006 ? "" : ` Meaning: ${closeCodeMeaning(code).split(": ")[1]}.`;
}

/** Formats the session's totals as the server's log has them, where `in` is what this page sent. */
function formatTotals() {
  const { sent, sentBytes, received, receivedBytes, since } = session;
  const seconds = ((performance.now() - since) / 1000).toFixed(3);
  return `sent ${sent} (${sentBytes} bytes), received ${received} (${receivedBytes} bytes), ${seconds} s`;
}

function showState(detail = "") {
  const state = STATES[socket?.readyState ?? WebSocket.CLOSED];
  root.dataset.state = state;
  page["state-word"].textContent = state;
  page["state-detail"].textContent = detail;
  page.stop.ariaDisabled = String(state === "CLOSED" || state === "CLOSING");
}

/** Shows the newest message to assistive technology, and to the visitor of the kiosk. */
function announce(message) {
  newestMessage = message;
  announceTimer ||= setTimeout(() => {
    announceTimer = 0;
    page["last-text"].textContent = truncate(asText(newestMessage));
  }, isKiosk ? 0 : ANNOUNCE_MS);
}
let newestMessage = "";
let announceTimer = 0;

// --- Compression

/** Whether `?info` was sent; only the server knows the compression ratios. */
let isInfoPending = false;

/** Shows the extensions that were negotiated. */
function showCompression() {
  const extensions = socket.extensions;
  isInfoPending = false;
  page.compression.hidden = !extensions;
  page.negotiated.textContent = `Negotiated: ${extensions}`;
  page.offered.textContent = "";
  page["sent-ratio"].textContent = page["received-ratio"].textContent = "–";
}

/** Sends `?info` as an ordinary message, which the history shows. */
function requestInfo() {
  isInfoPending = transmit("?info", "");
}

/** Shows the ratios in the answer to `?info`; an answer of another form is ignored. */
function onInfo(text) {
  let extensions;
  try {
    extensions = JSON.parse(text).extensions;
  } catch {
    return;
  }
  const { offered, reached } = extensions ?? {};
  if (!reached) return;
  isInfoPending = false;
  page.offered.textContent = `Offered: ${offered.join(", ")}`;
  page["sent-ratio"].textContent = formatRatio(reached.received);
  page["received-ratio"].textContent = formatRatio(reached.sent);
}

function formatRatio({ bytes, on_the_wire: wire }) {
  return wire ? `${(bytes / wire).toFixed(1)} : 1` : "–";
}

// --- Errors

/** Shows an error until the next connection is open. */
function showError(title, text, answer = "") {
  page["notice-title"].textContent = title;
  page["notice-text"].textContent = text;
  const [first, ...others] = truncate(answer.trim()).split(/(?=\n)/);
  page["notice-answer"].replaceChildren(createElement("strong", "", first), others.join(""));
  page["notice-answer"].hidden = !answer;
  page.notice.hidden = false;
  kiosk.error = `${text} ${first}`;
  kiosk.show();
}

/** Shows why a handshake failed. Browsers hide the reason, so the page sends a GET, whose Referer
 * stands for the Origin of the handshake. */
async function explainFailure(url, failed) {
  const [text, answer] = await failureReason(url);
  if (socket !== failed) return;
  addEvent(text);
  showError("Unexpected Error.", text, answer);
}

/** Returns the page's explanation, and the server's. */
async function failureReason(url) {
  const plain = new URL(url.href.replace(/^ws/, "http"));
  if (plain.origin !== location.origin) {
    return [navigator.onLine ? "The browser hides the reason from pages of another origin; its console may show it." : OFFLINE];
  }
  const { failure, status, text } = await fetchText(plain);
  return [failure ?? describeStatus(status), text];
}

/** Returns the status and the plain text of a response, or why there is no response. */
async function fetchText(url) {
  try {
    const response = await fetch(url, { cache: "no-store", redirect: "manual", referrerPolicy: "origin", signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
    return { status: response.status, text: isText ? await response.text() : "" };
  } catch {
    return { failure: navigator.onLine ? "The server cannot be reached." : OFFLINE, text: "" };
  }
}

function describeStatus(status) {
  const known = {
    404: "The server is reachable, but has nothing at this path.",
    426: "The server is reachable, but got no WebSocket handshake; a proxy may drop it.",
    503: "The server is reachable, but accepts no WebSocket now.",
  };
  return known[status] ?? `The server is reachable, but answers with ${status || "a redirect"}.`;
}

/** Shows the result of an action below the message box. */
function setStatus(text, isError = true) {
  page.status.classList.toggle("error", isError);
  page.status.textContent = text;
}

// --- Faults: query parameters of this server that inject faults and delays, as /help lists them

async function loadFaults() {
  if (!page.faults.open || page["fault-list"].firstChild) return;
  const { failure, text } = await fetchText("/help");
  const lines = [...text.matchAll(/^ {2}(\S+=\S+) +(.+)$/gm)];
  page["fault-list"].replaceChildren(...lines.map(createFaultButton));
  page["faults-status"].textContent = failure ?? (lines.length ? "" : text || "The server lists no parameters.");
}

function createFaultButton([, parameter, effect]) {
  const button = createElement("button", "small", "");
  button.type = "button";
  button.append(createElement("code", "", parameter), ` ${effect}`);
  button.addEventListener("click", () => addFault(parameter));
  return button;
}

/** Adds a parameter to the address, which becomes this server's /echo if its path takes none. */
function addFault(parameter) {
  if (!/^\/(ws|echo)$/.test(tryParseAddress()?.pathname)) page.address.value = "/echo";
  const url = parseAddress();
  url.searchParams.set(...parameter.split("="));
  page.address.value = url.href;
  page["faults-status"].textContent = `Press Connect to open ${url.pathname}${url.search}`;
}

// --- Chat: the events of any server's /chat; other messages are shown unchanged

let isChat = !isKiosk && params.has("chat");
/** The address of the mode that is not shown. */
let otherAddress = DEFAULT_PATH;
const roomFields = [page.room, page.name];
/** The room of the welcome. @type {{name: string, seq: number, members: Set<string>}|null} */
let room = null;
let membersChanged = false;
/** Messages that arrived while the page was hidden. */
let unread = 0;
const title = document.title;
/** Stores the form's fields, if the browser permits. */
const storage = (() => { try { return localStorage; } catch { return {}; } })();

/** Required fields of the events; `seq` is a number, all others are strings. */
const EVENT_FIELDS = {
  __proto__: null,
  welcome: ["room", "name", "seq"], join: ["name", "at"], leave: ["name", "at"], message: ["from", "text", "at", "seq"],
};

/** Returns undefined if the text is not a valid event. */
function parseEvent(text) {
  try {
    const event = JSON.parse(text);
    const isValid = ["type", ...EVENT_FIELDS[event.type]].every((key) => typeof event[key] === (key === "seq" ? "number" : "string"));
    return isValid ? event : undefined;
  } catch {
    return undefined;
  }
}

function onChatEvent(event, data, size) {
  const { type, name } = event;
  const at = Date.parse(event.at) || Date.now();
  if (type === "message") return onChatMessage(event, at, data, size);
  if (type === "welcome") return onWelcome(event);
  room?.members[type === "join" ? "add" : "delete"](name);
  membersChanged = true;
  addEvent(`${name} ${type}s.`, { at });
}

function onWelcome({ room: roomName, name, members, seq }) {
  addEvent(`You joined ${roomName} as ${name}.`);
  setRoom({ name, seq, members: new Set([members].flat().filter((member) => typeof member === "string")) });
}

function onChatMessage(event, at, data, size) {
  const displayText = `${event.from}: ${event.text}`;
  const own = isOwn(event);
  addEntry(own ? "sent" : "received", data, size, { at, displayText });
  if (own) return;
  announce(displayText);
  if (document.hidden && isNew(event)) showUnread(unread + 1);
}

/** Returns whether a message is newer than the welcome, which older messages follow. */
function isNew({ seq }) {
  return !(seq <= room?.seq);
}

function isOwn(event) {
  return event.type === "message" && event.from === room?.name && isNew(event);
}

function setRoom(next) {
  room = next;
  membersChanged = true;
  scheduleRender();
}

function renderMembers() {
  if (!membersChanged) return;
  membersChanged = false;
  const names = [...(room?.members ?? [])];
  page.members.hidden = !room;
  page["member-count"].textContent = `Members: ${integer.format(names.length)}`;
  const listed = names.slice(0, MAX_LISTED_MEMBERS).map((name) => name + (name === room.name ? " (you)" : ""));
  page["member-list"].replaceChildren(...listed.map((name) => createElement("li", "", name)));
}

function showUnread(count) {
  unread = count;
  document.title = count ? `(${count}) wsecho` : title;
}

function setChat(chat) {
  if (chat === isChat) return;
  isChat = chat;
  [page.address.value, otherAddress] = [otherAddress, page.address.value];
  showMode();
  connect();
}

function showMode() {
  root.dataset.service = isChat ? "chat" : "echo";
  page["as-echo"].ariaPressed = String(!isChat);
  page["as-chat"].ariaPressed = String(isChat);
}

/** Copies room and name from the address to the form. */
function readRoom() {
  const url = isChat && tryParseAddress();
  if (isRoom(url)) roomFields.forEach((field) => (field.value = url.searchParams.get(field.id) ?? ""));
}

/** Copies room and name from the form to the address. */
function writeRoom() {
  page.address.value = roomAddress(tryParseAddress());
  roomFields.forEach(({ id, value }) => (storage[id] = value));
}

/** Returns the room's address: on the server of `address` if that is a chat, else on this one. */
function roomAddress(address) {
  const url = isRoom(address) ? address : new URL("/chat", location.href.replace(/^http/, "ws"));
  roomFields.forEach(({ id, value }) => {
    url.searchParams.delete(id);
    if (value.trim()) url.searchParams.append(id, value.trim());
  });
  return url.href;
}

function isRoom(url) {
  return url && url.pathname.endsWith("/chat");
}

// --- Sending

/** Sent messages for the Up key; `at` is the current position, `draft` the unsent text. */
const recall = { texts: [], at: 0, draft: "" };
let lastText = "";

/** Sends a message; returns false if there is no connection. `typed` is the text to recall. */
function transmit(data, typed) {
  if (!isOpen()) {
    setStatus("The underlying connection is closed.");
    return false;
  }
  socket.send(data);
  const size = typeof data === "string" ? encoder.encode(data).length : data.length;
  countSent(size);
  if (!room) addEntry("sent", data, size); // a room sends it back, in the order of all messages
  scheduleRender();
  if (typed) addToRecall(typed);
  return true;
}

function addToRecall(typed) {
  if (recall.texts.at(-1) !== typed) recall.texts.push(typed);
  if (recall.texts.length > MAX_RECALL) recall.texts.shift();
  recall.at = recall.texts.length;
  lastText = page.hex.checked ? "" : typed;
  scheduleLinkUpdate();
}

/** Returns the message in the box; undefined after an error, which is shown. */
function readMessage() {
  try {
    return page.hex.checked ? parseHex(page.message.value) : page.message.value;
  } catch (error) {
    setStatus(error.message);
    return undefined;
  }
}

function send() {
  const data = readMessage();
  if (data === undefined || (isKiosk && !data)) return;
  setStatus("");
  if (!transmit(data, page.message.value)) return kiosk.onSendFailed();
  kiosk.onSent(page.message.value);
  page.message.value = "";
  page.message.focus();
  scrollToNewest();
}

function onMessageKeyDown(event) {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    send();
  } else if (event.key === "ArrowUp" && !isBeforeCaret("\n")) {
    moveRecall(-1, event);
  } else if (event.key === "ArrowDown" && recall.at < recall.texts.length) {
    moveRecall(1, event);
  }
}

function isBeforeCaret(text) {
  return page.message.value.slice(0, page.message.selectionStart).includes(text);
}

function moveRecall(step, event) {
  const to = recall.at + step;
  if (isKiosk || to < 0 || to > recall.texts.length) return;
  event.preventDefault();
  if (recall.at === recall.texts.length) recall.draft = page.message.value;
  recall.at = to;
  page.message.value = recall.texts[to] ?? recall.draft;
}

async function sendFiles(files) {
  for (const file of files) {
    if (file.size > MAX_FILE_BYTES) {
      setStatus(`${file.name} is larger than ${formatBytes(MAX_FILE_BYTES)}.`);
    } else {
      transmit(new Uint8Array(await file.arrayBuffer()));
    }
  }
  page.file.value = ""; // else choosing the same file again would not be a change
}

/** The running repetition: message, number, interval and start. */
let repetition = null;

function toggleRepeat() {
  if (repetition) return stopRepeat();
  const data = readMessage();
  if (data === undefined) return;
  setStatus("");
  const times = page.times.value === "" ? Infinity : Number(page.times.value);
  repetition = { data, times, every: Number(page.every.value), done: 0, since: performance.now(), timer: 0 };
  page.repeat.textContent = "Stop repeating";
  sendDue();
}

/** Sends the messages that are due, within the limits of buffer and frame. */
function sendDue() {
  const now = performance.now();
  const { data, times, every, since } = repetition;
  const due = every > 0 ? Math.min(times, Math.floor((now - since) / every) + 1) : times;
  while (repetition.done < due && performance.now() - now < MAX_BURST_MS) {
    if (isOpen() && socket.bufferedAmount > MAX_BUFFERED_BYTES) break;
    if (!transmit(data)) return stopRepeat();
    repetition.done += 1;
  }
  if (!(repetition.done < times)) return stopRepeat(); // also if `times` is NaN
  repetition.timer = setTimeout(sendDue, every > 0 ? since + repetition.done * every - performance.now() : 0);
}

function stopRepeat() {
  clearTimeout(repetition.timer);
  repetition = null;
  page.repeat.textContent = "Repeat";
}

// --- Kiosk: reconnects by itself, as a visitor cannot press Connect

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
const REPLY_TIMEOUT_MS = 10_000;
/** A connection that lasts this long resets the retry delay. */
const STABLE_MS = 5000;
/** Timers of a hidden page run once a minute, so a longer gap means that the machine slept. */
const TICK_MS = 5000;
const SLEEP_MS = 150_000;
/** Close codes that do not blame the message, which is therefore sent again. */
const RESEND_CODES = [1001, 1006, 1012, 1013];

const kiosk = {
  failures: 0,
  timer: 0,
  stableTimer: 0,
  error: "",
  retry: "",
  /** Whether to send the text in the box on the next connection. */
  isQueued: false,
  /** The text that has no reply yet. */
  unanswered: "",

  onConnecting() {
    if (!isKiosk) return;
    this.restoreText();
    this.retry = this.failures ? `Attempt ${this.failures}.` : "";
    this.show();
    this.setTimer(CONNECT_TIMEOUT_MS, () => this.abandon());
  },

  onOpen() {
    if (!isKiosk) return;
    clearTimeout(this.timer);
    this.error = this.retry = "";
    this.show();
    this.stableTimer = setTimeout(() => (this.failures = 0), STABLE_MS);
    if (this.isQueued) {
      this.isQueued = false;
      send();
    }
  },

  onMessage() {
    if (!isKiosk) return;
    clearTimeout(this.timer);
    this.failures = 0;
    this.unanswered = "";
  },

  onSent(text) {
    if (!isKiosk) return;
    this.unanswered = text;
    this.setTimer(REPLY_TIMEOUT_MS, () => this.abandon());
  },

  onSendFailed() {
    if (!isKiosk) return;
    this.isQueued = true;
    setStatus("The underlying connection is closed. Your text is kept, and sent once it is open again.");
  },

  onClose(code) {
    if (!isKiosk) return;
    clearTimeout(this.stableTimer);
    if (RESEND_CODES.includes(code)) this.restoreText();
    this.unanswered = "";
    this.scheduleRetry();
  },

  /** Puts a text without a reply back into the box, unless the visitor has begun another. */
  restoreText() {
    if (this.unanswered && !page.message.value) {
      page.message.value = this.unanswered;
      this.isQueued = true;
    }
    this.unanswered = "";
  },

  /** Retries with exponential backoff and jitter, so that many kiosks do not reconnect at once. */
  scheduleRetry() {
    const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
    const delay = longest * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.retry = `Attempt ${this.failures} in ${(delay / 1000).toFixed(1)} s.`;
    this.show();
    this.setTimer(delay, connect);
  },

  /** Replaces the timer; the kiosk waits for one thing at a time. */
  setTimer(delay, callback) {
    clearTimeout(this.timer);
    this.timer = setTimeout(callback, delay);
  },

  /** Gives up a connection that does not answer, without a closing handshake. */
  abandon() {
    disconnect();
    showState();
    this.error = "The server does not answer.";
    this.onClose(1006);
  },

  /** Retries at once, as the page has become visible. */
  retryNow() {
    if (isKiosk && !document.hidden && root.dataset.state === "CLOSED") connect();
  },

  show() {
    if (isKiosk && !isOpen()) page["state-detail"].textContent = `${this.error} ${this.retry}`.trim();
  },

  start() {
    let lastTick = Date.now();
    setInterval(() => {
      const hasSlept = Date.now() - lastTick > SLEEP_MS;
      lastTick = Date.now();
      if (hasSlept) connect();
    }, TICK_MS);
    addEventListener("visibilitychange", () => this.retryNow());
    addEventListener("pageshow", () => this.retryNow());
    addEventListener("contextmenu", (event) => event.target === page.message || event.preventDefault());
  },
};

// --- Link: the address bar reproduces the form

let linkUpdateTimer = 0;

/** Delays the update, as browsers reject an address that changes too often. */
function scheduleLinkUpdate() {
  if (!isKiosk) linkUpdateTimer ||= setTimeout(updateLink, 500);
}

function updateLink() {
  linkUpdateTimer = 0;
  const query = new URLSearchParams(isChat ? "chat" : "");
  const url = parseAddress();
  const path = url.host === location.host ? url.pathname + url.search : url.href;
  if (isChat && /^\/chat(\?|$)/.test(path)) url.searchParams.forEach((value, key) => query.set(key, value));
  else if (path !== DEFAULT_PATH) query.set("url", path);
  if (page.subprotocols.value.trim()) query.set("subprotocols", page.subprotocols.value.trim());
  // Reloading the page must not repeat a message in a room.
  if (!isChat && lastText && lastText.length <= MAX_LINK_TEXT) query.set("send", lastText);
  history.replaceState(null, "", query.size ? `?${query}`.replace("?chat=", "?chat") : location.pathname);
}

// --- Start

function initForm() {
  roomFields.forEach((field) => (field.value = params.get(field.id) ?? storage[field.id] ?? ""));
  otherAddress = isChat ? DEFAULT_PATH : roomAddress();
  page.address.value = params.get("url") ?? (isChat ? roomAddress() : DEFAULT_PATH);
  page.address.value = tryParseAddress()?.href ?? page.address.value; // connect shows the error
  page.subprotocols.value = params.get("subprotocols") ?? "";
  for (const path of OFFERED_PATHS) {
    const option = document.createElement("option");
    option.value = new URL(path, location.href).href.replace(/^http/, "ws");
    page.addresses.append(option);
  }
}

/** Returns false for another server: opening a link must not connect to it without a click. */
function mayAutoConnect() {
  return (tryParseAddress()?.host ?? location.host) === location.host;
}

function addListeners() {
  const on = (element, type, listener) => element.addEventListener(type, listener);
  const onSubmit = (form, listener) => on(form, "submit", (event) => { event.preventDefault(); listener(); });
  onSubmit(page.connect, connect);
  onSubmit(page.compose, send);
  on(page.stop, "click", stop);
  on(page["as-echo"], "click", () => setChat(false));
  on(page["as-chat"], "click", () => setChat(true));
  on(page.address, "input", readRoom);
  roomFields.forEach((field) => on(field, "input", writeRoom));
  on(document, "visibilitychange", () => document.hidden || showUnread(0));
  on(page.faults, "toggle", loadFaults);
  on(page.message, "keydown", onMessageKeyDown);
  on(page.repeat, "click", toggleRepeat);
  on(page["request-info"], "click", requestInfo);
  on(page.pick, "click", () => page.file.click());
  on(page.file, "change", () => sendFiles([...page.file.files]));
  on(page.save, "click", save);
  on(page.clear, "click", clear);
  on(page["as-hex"], "click", () => toggleView("hex"));
  on(page["as-json"], "click", () => toggleView("json"));
  on(page.copy, "click", copy);
  on(page.newest, "click", scrollToNewest);
  on(page.history, "scroll", onHistoryScroll);
  on(page.history, "keydown", onHistoryKeyDown);
  for (const type of ["click", "focusin", "pointermove"]) {
    on(page.history, type, (event) => event.target.closest("li") && selectRow(event.target.closest("li")));
  }
  new ResizeObserver(scheduleRender).observe(page.history); // keeps the newest row in view
  on(window, "offline", () => showError("Offline.", OFFLINE));
  on(window, "online", onOnline);
  if (!isKiosk) addDropListeners(on);
}

function addDropListeners(on) {
  const showDropTarget = (isShown) => document.body.classList.toggle("dropping", isShown);
  on(window, "dragover", (event) => { event.preventDefault(); showDropTarget(true); });
  on(window, "dragleave", (event) => event.relatedTarget || showDropTarget(false));
  on(window, "drop", (event) => {
    event.preventDefault();
    showDropTarget(false);
    sendFiles([...event.dataTransfer.files]);
  });
}

function onOnline() {
  page.notice.hidden = true;
  if (isKiosk) connect(); // a connection that seems open may belong to the previous network
}

root.dataset.mode = isKiosk ? "kiosk" : "tester";
showMode();
initForm();
readRoom();
addListeners();
if (isKiosk) kiosk.start();
if (mayAutoConnect()) connect();
else addEvent("This link points to another server. Press Connect to open it.");
page.message.focus();
scheduleRender();
