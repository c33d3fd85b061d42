// The page of wsecho: open a WebSocket, send, stop, and see what was said, how fast, and what went
// wrong. With `?chat` the same words go to a room, and with `?kiosk` the same page is one text box
// that looks after its connection by itself.
//
// What comes from the network is only ever put into text nodes; the page's policy
// (require-trusted-types-for) would stop anything else.

/** @typedef {{from: "sent"|"received"|"event", at: number, data: string|Uint8Array, size: number,
 *   view: "text"|"hex"|"json", said?: string, row?: HTMLLIElement}} Entry */

const DEFAULT_PATH = "/WebSocketGenericHandler.ashx";
const OFFERED_PATHS = [DEFAULT_PATH, "/ws", "/echo"];
const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];

/** The history keeps this many entries and bytes, so that a page can stay open for months. */
const KEPT_ENTRIES = 1000;
const KEPT_BYTES = 16 * 1024 * 1024;
/** A row shows this much of a message; Copy and Save have all of it. */
const SHOWN_CHARACTERS = 2000;
const SHOWN_BYTES = 512;
/** Round trips in the plot. */
const PLOTTED = 100;
/** A few bars are not spread thinner than this many would be. */
const FEWEST_SLOTS = 25;
/** More messages than this without an answer: whoever listens is no echo, and nothing is timed. */
const MAX_UNANSWERED = 100_000;
const MAX_FILE = 16 * 1024 * 1024;
/** A repetition pauses while more than this waits to be sent, or after this long, for the frame. */
const MAX_BUFFERED = 256 * 1024;
const MAX_BURST_MS = 6;
const RECALLED = 50;
/** Members in the list of a room; the count has all. */
const LISTED_MEMBERS = 100;
/** A link carries the last message up to this length. */
const MAX_LINKED = 500;
/** The next message of a link waits this long for the answer to the one before. */
const LINKED_MS = 500;
const ANNOUNCE_EVERY_MS = 1000;
const ASK_TIMEOUT_MS = 5000;
const OFFLINE = "This device is offline.";

const root = document.documentElement;
const parameters = new URLSearchParams(location.search);
const isKiosk = parameters.has("kiosk");
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The elements of the page by their id. */
const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));

// --- Words

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const integer = new Intl.NumberFormat("en");

/** @param {number} n */
function bytes(n) {
  if (n < 1024) return `${n} B`;
  const power = Math.min(4, Math.floor(Math.log2(n) / 10));
  return `${(n / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** @param {number|undefined} ms */
function milliseconds(ms) {
  if (ms === undefined) return "–";
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${integer.format(Math.round(ms))} ms`;
}

/** Eight bytes a line: offset, hexadecimal, ASCII. */
function hexDump(data) {
  const lines = [];
  for (let at = 0; at < Math.min(data.length, SHOWN_BYTES); at += 8) {
    const line = [...data.subarray(at, Math.min(at + 8, SHOWN_BYTES))];
    const digits = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${digits.padEnd(23)}  ${ascii}`);
  }
  return lines.join("\n") + rest(data.length - SHOWN_BYTES, "bytes");
}

function shortened(text) {
  return text.slice(0, SHOWN_CHARACTERS) + rest(text.length - SHOWN_CHARACTERS, "characters");
}

function rest(count, what) {
  return count > 0 ? `\n… and ${integer.format(count)} ${what}; Copy and Save have all.` : "";
}

/** The bytes that a person wrote: `48 65`, `4865`, `0x48, 0x65`. */
function parseHex(text) {
  const digits = text.replace(/0x|[\s,:;]/gi, "");
  if (/[^0-9a-f]/i.test(digits)) throw new Error("Bytes are written with 0 to 9 and a to f, such as 48 65 6c.");
  if (digits.length % 2) throw new Error("A byte has two digits; one is missing.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** What RFC 6455 and its registry mean by a code. */
function meaning(code) {
  const known = {
    1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "data of this type is not accepted",
    1005: "no code was given", 1006: "lost without a closing handshake", 1007: "the data is not what its type says",
    1008: "against the policy", 1009: "the message is too big", 1010: "an extension is missing",
    1011: "internal error", 1012: "the service restarts", 1013: "try again later", 1014: "bad gateway",
    1015: "TLS failed",
  };
  if (known[code]) return known[code];
  return code >= 4000 ? "private to the application" : code >= 3000 ? "of a library or framework" : "unassigned";
}

// --- History: entries come as they come, rows are made once for each frame

/** @type {Entry[]} */
const entries = [];
/** @type {WeakMap<Element, Entry>} */
const entryOf = new WeakMap();
let keptBytes = 0;
let dropped = 0;
let following = true;
let frame = 0;
let restUntil = 0;

/** Adds to the history. The kiosk has none to show, and keeps none. */
function add(from, data, size = 0, more = {}) {
  if (isKiosk) return;
  entries.push({ from, at: Date.now(), data, size, view: typeof data === "string" ? "text" : "hex", ...more });
  keptBytes += size;
  while (entries.length > KEPT_ENTRIES || (keptBytes > KEPT_BYTES && entries.length > 1)) {
    keptBytes -= entries.shift().size;
    dropped += 1;
  }
  renderSoon();
}

function note(text, more) {
  add("event", text, 0, more);
}

function renderSoon() {
  frame ||= requestAnimationFrame(render);
}

/** In a flood, rows that are gone before they can be read must not take the time of the messages:
 * after each rendering the page rests four times as long as it took. */
function render(now) {
  frame = 0;
  if (now < restUntil) return renderSoon();
  renderHistory();
  renderNumbers();
  renderMembers();
  const end = performance.now();
  restUntil = end + 4 * (end - now);
}

function renderHistory() {
  let old = entries.length;
  while (old > 0 && !entries[old - 1].row) old -= 1;
  for (let surplus = page.history.childElementCount - old; surplus > 0; surplus -= 1) {
    removeRow(page.history.firstElementChild);
  }
  page.history.append(...entries.slice(old).map(makeRow));
  page.dropped.textContent = dropped ? `${integer.format(dropped)} older dropped` : "";
  if (following) page.history.scrollTop = page.history.scrollHeight;
}

/** @param {Entry} entry */
function makeRow(entry) {
  const row = document.createElement("li");
  row.dataset.from = entry.from;
  row.tabIndex = -1;
  const arrow = { sent: "↑", received: "↓", event: "·" }[entry.from];
  row.append(
    cell("span", "arrow", arrow),
    cell("time", "", clock.format(entry.at)),
    cell("span", "size", entry.from === "event" ? "" : bytes(entry.size)),
    cell("span", "what", shown(entry)),
  );
  row.firstChild.title = entry.from;
  entry.row = row;
  entryOf.set(row, entry);
  return row;
}

function cell(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

/** What a row shows of its message. @param {Entry} entry */
function shown({ data, view, size, from, said }) {
  if (view === "hex") return hexDump(typeof data === "string" ? encoder.encode(data) : data);
  if (view === "json") return shortened(JSON.stringify(JSON.parse(asText(data)), null, 2));
  return size === 0 && from !== "event" ? "(empty)" : shortened(said ?? asText(data));
}

function asText(data) {
  return typeof data === "string" ? data : decoder.decode(data);
}

function removeRow(row) {
  if (row.contains(page.tools)) putToolsAway();
  row.remove();
}

function clear() {
  entries.length = 0;
  keptBytes = dropped = 0;
  resetNumbers();
  putToolsAway();
  page.history.replaceChildren();
  renderSoon();
}

/** The history as JSON lines: text as it is, bytes as Base64. */
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

// One set of tools for all rows: three buttons in each of a thousand would be three thousand stops
// on the way of the Tab key.

function choose(row) {
  const entry = entryOf.get(row);
  if (row.contains(page.tools) || !entry) return;
  putToolsAway();
  row.classList.add("chosen");
  row.append(page.tools);
  page.tools.hidden = false;
  page["as-json"].hidden = !isJson(entry);
  page["as-hex"].hidden = entry.from === "event";
  showPressed(entry);
}

function putToolsAway() {
  page.tools.closest("li")?.classList.remove("chosen");
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

function showPressed({ view }) {
  page["as-hex"].ariaPressed = String(view === "hex");
  page["as-json"].ariaPressed = String(view === "json");
}

function chosen() {
  return entryOf.get(page.tools.closest("li"));
}

/** Shows the chosen message in this view, or as text again. */
function toggleView(view) {
  const entry = chosen();
  entry.view = entry.view === view ? "text" : view;
  entry.row.querySelector(".what").textContent = shown(entry);
  showPressed(entry);
}

async function copy() {
  const { data, view, said } = chosen();
  const text = view === "text" && said ? said : typeof data === "string" || view === "text" ? asText(data) : toHex(data);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // no clipboard on plain HTTP, but for this machine itself
  }
  say("Copied.", false);
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

function moveInHistory(event) {
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

function noticeScroll() {
  const { scrollTop, clientHeight, scrollHeight } = page.history;
  following = scrollHeight - scrollTop - clientHeight < 24;
  page.newest.hidden = following;
}

function follow() {
  following = true;
  page.newest.hidden = true;
  renderSoon();
}

// --- Numbers: counts, and round trips from each message to the next answer in order

const counts = nothing();
/** The same of the connection of now. */
let session = nothing();
/** When each message without an answer was sent; answers come in order. */
let unanswered = [];
let answered = 0;
let timed = true;
/** The last round trips in milliseconds. @type {number[]} */
let roundTrips = [];

function nothing() {
  return { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, since: performance.now() };
}

function count(way, size) {
  for (const sums of [counts, session]) {
    sums[way] += 1;
    sums[way + "Bytes"] += size;
  }
}

function countSent(size) {
  count("sent", size);
  unanswered.push(performance.now());
  if (unanswered.length - answered > MAX_UNANSWERED) timed = false;
  if (!timed) unanswered.length = answered = 0;
}

function countReceived(size, isAnswer) {
  count("received", size);
  if (!isAnswer || answered >= unanswered.length) return;
  roundTrips.push(performance.now() - unanswered[answered]);
  if (roundTrips.length > PLOTTED) roundTrips.shift();
  answered += 1;
  if (answered === unanswered.length) unanswered.length = answered = 0;
  else if (answered > MAX_UNANSWERED) unanswered = unanswered.slice(answered), answered = 0;
}

/** What was not answered on one connection never is on another, and nobody is in a room without one. */
function forgetSession() {
  enter(null);
  unanswered = [];
  answered = 0;
  timed = true;
}

function resetNumbers() {
  Object.assign(counts, nothing());
  roundTrips = [];
}

function renderNumbers() {
  page.sent.textContent = integer.format(counts.sent);
  page["sent-bytes"].textContent = bytes(counts.sentBytes);
  page.received.textContent = integer.format(counts.received);
  page["received-bytes"].textContent = bytes(counts.receivedBytes);
  const sorted = [...roundTrips].sort((a, b) => a - b);
  const quantile = (q) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  page["rtt-last"].textContent = milliseconds(roundTrips.at(-1));
  page["rtt-median"].textContent = milliseconds(quantile(0.5));
  page["rtt-p99"].textContent = milliseconds(quantile(0.99));
  plot(quantile(0.5), sorted.at(-1));
}

/** A bar for each round trip, the newest on the right; the dashed line is the median. */
function plot(median, longest) {
  const height = (ms) => 40 * (1 - ms / (longest || 1));
  const slot = 100 / Math.max(FEWEST_SLOTS, roundTrips.length);
  const left = (n) => (100 - (roundTrips.length - n - 0.5) * slot).toFixed(2);
  const bars = roundTrips.map((ms, n) => `M${left(n)} 40V${Math.min(39.4, height(ms)).toFixed(2)}`);
  page["plot-bars"].setAttribute("d", bars.join(""));
  page["plot-bars"].setAttribute("stroke-width", 0.7 * slot);
  for (const end of ["y1", "y2"]) page["plot-median"].setAttribute(end, height(median ?? 0));
  page["plot-scale"].textContent = !bars.length ? "nothing sent yet" : `${bars.length} newest; highest ${milliseconds(longest)}, dashed: median`;
  page.plot.ariaLabel = `Round trips, ${page["plot-scale"].textContent}`;
}

// --- Connection

/** @type {WebSocket|null} */
let socket = null;
/** Whether this page asked for the end. */
let stopped = false;
/** Texts of the link, to be sent once there is a connection. */
const linked = parameters.getAll("send");
let linkedTimer = 0;

/** The address as a URL; http and https are taken as ws and wss, a path as one of this server. */
function addressed() {
  const url = new URL(page.address.value.trim() || DEFAULT_PATH, location.href);
  url.protocol = url.protocol.replace(/^http/, "ws");
  url.hash = "";
  return url;
}

/** The same, or nothing where it is none. */
function parsed() {
  try {
    return addressed();
  } catch {
    return undefined;
  }
}

/** Opens a WebSocket to the address in the form; one that is open is left. */
function connect() {
  leave();
  stopped = false;
  let url;
  try {
    url = addressed();
    socket = new WebSocket(url, page.subprotocols.value.split(/[\s,]+/).filter(Boolean));
  } catch (error) {
    showState();
    return complain("This cannot be opened.", error.message);
  }
  socket.binaryType = "arraybuffer";
  const opened = { url, once: false };
  listen("open", (event) => hearOpen(event, opened));
  listen("message", hear);
  listen("close", (event) => hearClose(event, opened));
  showState();
  kiosk.connecting();
  linkSoon();
}

/** Listens to the socket of now; what one that was left still has to say is of no interest. */
function listen(name, heard) {
  const current = socket;
  current.addEventListener(name, (event) => socket === current && heard(event));
}

/** Lets go of the socket without waiting for its closing handshake. */
function leave() {
  const left = socket;
  socket = null;
  forgetSession();
  left?.close(1000);
}

function stop() {
  if (!socket || socket.readyState > WebSocket.OPEN) return;
  stopped = true;
  socket.close(1000);
  showState();
}

function isOpen() {
  return socket?.readyState === WebSocket.OPEN;
}

function hearOpen(_, opened) {
  opened.once = true;
  session = nothing();
  page.notice.hidden = true;
  say("");
  note(isChat ? "Connection Opened." : "Connection Opened with the Echo server.");
  showState(socket.protocol && `subprotocol ${socket.protocol}`);
  showCompression();
  sendLinked();
  kiosk.opened();
}

/** The texts of the link make a conversation: the next one goes with the answer, or without it. */
function sendLinked() {
  clearTimeout(linkedTimer);
  if (!linked.length || !isOpen()) return;
  const text = linked.shift();
  transmit(text, text);
  linkedTimer = setTimeout(sendLinked, LINKED_MS);
}

function hear({ data }) {
  const isText = typeof data === "string";
  const message = isText ? data : new Uint8Array(data);
  const size = isText ? encoder.encode(data).length : data.byteLength;
  const event = isChat && isText && parseEvent(data);
  countReceived(size, !event || isOwn(event));
  if (event) {
    hearEvent(event, data, size);
  } else {
    add("received", message, size);
    announce(message);
    if (isText && infoAsked) hearInfo(data);
  }
  if (linked.length) sendLinked();
  kiosk.heard();
  renderSoon();
}

function hearClose(event, { url, once }) {
  forgetSession();
  const ended = ending(event, once);
  showState(once || stopped ? ended : "");
  kiosk.lost(event.code);
  if (once || stopped) {
    note(`Connection Closed ${ended}${once ? `; ${totals()}` : ""}.`);
    if (!stopped && event.code !== 1000) complain("Connection Closed.", `Closed ${ended}.`);
    return;
  }
  note("Unexpected Error.");
  complain("Unexpected Error.", "Asking the server why …");
  explain(url, socket);
}

/** Who ended a session and how, in the words of the server's log. */
function ending({ code, reason }, once) {
  if (!once) return "by the client before it was open";
  if (code === 1006) return `without a Close: 1006 (${meaning(code)}); browsers do not tell by whom, nor FIN from RST`;
  // The answer to this page's own Close need not repeat its code.
  const [by, said] = stopped && [1000, 1005].includes(code) ? ["client", 1000] : ["server", code];
  return `by the ${by}${said === 1005 ? " without a code" : `: ${said} (${meaning(said)}) ${JSON.stringify(reason)}`}`;
}

/** As in the server's log, where `in` is what this page sent. */
function totals() {
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

/** Tells assistive technology, and the visitor of the kiosk, the newest message. */
function announce(message) {
  newest = message;
  announcing ||= setTimeout(() => {
    announcing = 0;
    page["last-text"].textContent = shortened(asText(newest));
  }, isKiosk ? 0 : ANNOUNCE_EVERY_MS);
}
let newest = "";
let announcing = 0;

// --- Compression

/** Whether the server was asked how well it went, which only it can tell. */
let infoAsked = false;

/** Shows what was agreed on, as browsers tell it. */
function showCompression() {
  const agreed = socket.extensions;
  infoAsked = false;
  page.compression.hidden = !agreed;
  page["agreed-on"].textContent = `Agreed on: ${agreed}`;
  page.offered.textContent = "";
  page["sent-shrunk"].textContent = page["received-shrunk"].textContent = "–";
}

/** As a message like any other: who reads the history sees what was said. */
function askInfo() {
  infoAsked = transmit("?info", "");
}

/** Another server's answer is what it is. */
function hearInfo(text) {
  let extensions;
  try {
    extensions = JSON.parse(text).extensions;
  } catch {
    return;
  }
  const { offered, reached } = extensions ?? {};
  if (!reached) return;
  infoAsked = false;
  page.offered.textContent = `Offered: ${offered.join(", ")}`;
  page["sent-shrunk"].textContent = ratio(reached.received);
  page["received-shrunk"].textContent = ratio(reached.sent);
}

function ratio({ bytes: plain, on_the_wire: wire }) {
  return wire ? `${(plain / wire).toFixed(1)} : 1` : "–";
}

// --- What went wrong

/** Shows a trouble until the next connection is open. */
function complain(title, text, answer = "") {
  page["notice-title"].textContent = title;
  page["notice-text"].textContent = text;
  const [first, ...others] = shortened(answer.trim()).split(/(?=\n)/);
  page["notice-answer"].replaceChildren(cell("strong", "", first), others.join(""));
  page["notice-answer"].hidden = !answer;
  page.notice.hidden = false;
  kiosk.why = `${text} ${first}`;
  kiosk.show();
}

/** A browser hides from the page why a handshake failed, so the page asks again over HTTP, and says
 * by Referer where it is from, as the handshake did by Origin. */
async function explain(url, failed) {
  const [text, answer] = await reason(url);
  if (socket !== failed) return;
  note(text);
  complain("Unexpected Error.", text, answer);
}

/** Why no WebSocket opens there: our words, and the server's. */
async function reason(url) {
  const plain = new URL(url.href.replace(/^ws/, "http"));
  if (plain.origin !== location.origin) {
    return [navigator.onLine ? "The browser hides the reason, as this is another server than the page's; its console may know more." : OFFLINE];
  }
  const { failure, status, words } = await ask(plain);
  return [failure ?? judge(status), words];
}

/** What is said there over HTTP: a status, and words unless they are markup. */
async function ask(url) {
  try {
    const response = await fetch(url, { cache: "no-store", redirect: "manual", referrerPolicy: "origin", signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
    return { status: response.status, words: isText ? await response.text() : "" };
  } catch {
    return { failure: navigator.onLine ? "The server cannot be reached." : OFFLINE, words: "" };
  }
}

function judge(status) {
  const known = {
    404: "The server is there, but has nothing at this path.",
    426: "The server is there, but the handshake did not get through; a proxy may drop it.",
    503: "The server is there, but takes no WebSocket now.",
  };
  return known[status] ?? `The server is there, but answers with ${status || "a redirect"}.`;
}

/** Says something about what was just done, next to where it was done. */
function say(text, isTrouble = true) {
  page.said.classList.toggle("trouble", isTrouble);
  page.said.textContent = text;
}

// --- Orders: what an address can ask of this server, as its /help lists it

async function listOrders() {
  if (!page.orders.open || page["order-list"].firstChild) return;
  const { failure, words } = await ask("/help");
  const lines = [...words.matchAll(/^ {2}(\S+=\S+) +(.+)$/gm)];
  page["order-list"].replaceChildren(...lines.map(makeOrder));
  page["orders-said"].textContent = failure ?? (lines.length ? "" : words || "The server lists none.");
}

function makeOrder([, order, effect]) {
  const button = cell("button", "small", "");
  button.type = "button";
  button.append(cell("code", "", order), ` ${effect}`);
  button.addEventListener("click", () => putOrder(order));
  return button;
}

/** Puts an order into the address, or into this server's /echo where that takes none. */
function putOrder(order) {
  if (!/^\/(ws|echo)$/.test(parsed()?.pathname)) page.address.value = "/echo";
  const url = addressed();
  url.searchParams.set(...order.split("="));
  page.address.value = url.href;
  page["orders-said"].textContent = `Connect opens ${url.pathname}${url.search}`;
}

// --- Chat: the events of a /chat, whose ever it is; what is none is shown as it is

let isChat = !isKiosk && parameters.has("chat");
/** The address of the other mode, for the way back. */
let otherAddress = DEFAULT_PATH;
/** Where the welcome said that this page is. @type {{name: string, seq: number, members: Set<string>}|null} */
let room = null;
let isListOld = false;
/** Messages that came while nobody looked. */
let unread = 0;
const title = document.title;
/** What is remembered, where a page may. */
const memory = (() => { try { return localStorage; } catch { return {}; } })();

/** What the events have; `seq` is a number, all else is text. */
const EVENTS = {
  __proto__: null,
  welcome: ["room", "name", "seq"], join: ["name", "at"], leave: ["name", "at"], message: ["from", "text", "at", "seq"],
};

function parseEvent(text) {
  try {
    const event = JSON.parse(text);
    const isWhole = ["type", ...EVENTS[event.type]].every((key) => typeof event[key] === (key === "seq" ? "number" : "string"));
    return isWhole ? event : undefined;
  } catch {
    return undefined;
  }
}

function hearEvent(event, data, size) {
  const { type, name } = event;
  const at = Date.parse(event.at) || Date.now();
  if (type === "message") return hearSaid(event, at, data, size);
  if (type === "welcome") return welcome(event);
  room?.members[type === "join" ? "add" : "delete"](name);
  isListOld = true;
  note(`${name} ${type}s.`, { at });
}

function welcome({ room: called, name, members, seq }) {
  note(`You are ${name} in ${called}.`);
  enter({ name, seq, members: new Set([members].flat().filter((member) => typeof member === "string")) });
}

function hearSaid(event, at, data, size) {
  const said = `${event.from}: ${event.text}`;
  const own = isOwn(event);
  add(own ? "sent" : "received", data, size, { at, said });
  if (own) return;
  announce(said);
  if (document.hidden && isNew(event)) showUnread(unread + 1);
}

/** Whether it was said since this page came; before is the greeting. */
function isNew({ seq }) {
  return !(seq <= room?.seq);
}

function isOwn(event) {
  return event.type === "message" && event.from === room?.name && isNew(event);
}

function enter(next) {
  room = next;
  isListOld = true;
  renderSoon();
}

function renderMembers() {
  if (!isListOld) return;
  isListOld = false;
  const names = [...(room?.members ?? [])];
  page.members.hidden = !room;
  page["member-count"].textContent = `${integer.format(names.length)} here`;
  const listed = names.slice(0, LISTED_MEMBERS).map((name) => name + (name === room.name ? " (you)" : ""));
  page["member-list"].replaceChildren(...listed.map((name) => cell("li", "", name)));
}

function showUnread(count) {
  unread = count;
  document.title = count ? `(${count}) wsecho` : title;
}

function switchTo(chat) {
  if (chat === isChat) return;
  isChat = chat;
  [page.address.value, otherAddress] = [otherAddress, page.address.value];
  showMode();
  connect();
}

function showMode() {
  root.dataset.talk = isChat ? "chat" : "echo";
  page["as-echo"].ariaPressed = String(!isChat);
  page["as-chat"].ariaPressed = String(isChat);
}

/** The form follows an address that was typed, and the address the form. */
function readRoom() {
  const url = isChat && parsed();
  if (isRoom(url)) eachField((field) => (field.value = url.searchParams.get(field.id) ?? ""));
}

function writeRoom() {
  page.address.value = roomAddress(parsed());
  eachField(({ id, value }) => (memory[id] = value));
}

/** The address of the room in the form: where a chat is addressed already, or on this server. */
function roomAddress(address) {
  const url = isRoom(address) ? address : new URL("/chat", location.href.replace(/^http/, "ws"));
  eachField(({ id, value }) => {
    url.searchParams.delete(id);
    if (value.trim()) url.searchParams.append(id, value.trim());
  });
  return url.href;
}

function isRoom(url) {
  return url && url.pathname.endsWith("/chat");
}

function eachField(act) {
  [page.room, page.name].forEach(act);
}

// --- Sending

/** What was sent before, for the Up key; `at` is where the keys have led. */
const recall = { texts: [], at: 0, draft: "" };
let lastText = "";

/** Sends a message; returns whether it went. `typed`: what a person wrote to make it. */
function transmit(data, typed) {
  if (!isOpen()) {
    say("The underlying connection is closed.");
    return false;
  }
  socket.send(data);
  const size = typeof data === "string" ? encoder.encode(data).length : data.length;
  countSent(size);
  if (!room) add("sent", data, size); // a room says it back, in the order of all
  renderSoon();
  if (typed) remember(typed);
  return true;
}

function remember(typed) {
  if (recall.texts.at(-1) !== typed) recall.texts.push(typed);
  if (recall.texts.length > RECALLED) recall.texts.shift();
  recall.at = recall.texts.length;
  lastText = page.hex.checked ? "" : typed;
  linkSoon();
}

/** The message in the box; none, and a word about it, when it is not to be read. */
function composed() {
  try {
    return page.hex.checked ? parseHex(page.message.value) : page.message.value;
  } catch (error) {
    say(error.message);
    return undefined;
  }
}

function send() {
  const data = composed();
  if (data === undefined || (isKiosk && !data)) return;
  say("");
  if (!transmit(data, page.message.value)) return kiosk.keep();
  kiosk.asked(page.message.value);
  page.message.value = "";
  page.message.focus();
  follow();
}

function hearKey(event) {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    send();
  } else if (event.key === "ArrowUp" && !before("\n")) {
    recallBy(-1, event);
  } else if (event.key === "ArrowDown" && recall.at < recall.texts.length) {
    recallBy(1, event);
  }
}

/** Whether `text` is before the caret. */
function before(text) {
  return page.message.value.slice(0, page.message.selectionStart).includes(text);
}

function recallBy(step, event) {
  const to = recall.at + step;
  if (isKiosk || to < 0 || to > recall.texts.length) return;
  event.preventDefault();
  if (recall.at === recall.texts.length) recall.draft = page.message.value;
  recall.at = to;
  page.message.value = recall.texts[to] ?? recall.draft;
}

async function sendFiles(files) {
  for (const file of files) {
    if (file.size > MAX_FILE) {
      say(`${file.name} is larger than ${bytes(MAX_FILE)}.`);
    } else {
      transmit(new Uint8Array(await file.arrayBuffer()));
    }
  }
  page.file.value = ""; // or the same file could not be chosen again
}

/** What is being repeated, how often and since when. */
let repetition = null;

function toggleRepeat() {
  if (repetition) return endRepeat();
  const data = composed();
  if (data === undefined) return;
  say("");
  const times = page.times.value === "" ? Infinity : Number(page.times.value);
  repetition = { data, times, every: Number(page.every.value), done: 0, since: performance.now(), timer: 0 };
  page.repeat.textContent = "Stop repeating";
  repeatDue();
}

/** Sends what is due, as far as the connection and the frame can take it. */
function repeatDue() {
  const now = performance.now();
  const { data, times, every, since } = repetition;
  const due = every > 0 ? Math.min(times, Math.floor((now - since) / every) + 1) : times;
  while (repetition.done < due && performance.now() - now < MAX_BURST_MS) {
    if (isOpen() && socket.bufferedAmount > MAX_BUFFERED) break;
    if (!transmit(data)) return endRepeat();
    repetition.done += 1;
  }
  if (!(repetition.done < times)) return endRepeat(); // also for what is no number
  repetition.timer = setTimeout(repeatDue, every > 0 ? since + repetition.done * every - performance.now() : 0);
}

function endRepeat() {
  clearTimeout(repetition.timer);
  repetition = null;
  page.repeat.textContent = "Repeat";
}

// --- Kiosk: nobody is there to press Connect

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
const REPLY_TIMEOUT_MS = 10_000;
/** A connection that held this long was a good one. */
const STEADY_MS = 5000;
/** Timers of a hidden page come once a minute; a longer gap is a machine that was asleep. */
const TICK_MS = 5000;
const ASLEEP_MS = 150_000;
/** Ends that say nothing against the message: it is sent again. */
const INNOCENT_CODES = [1001, 1006, 1012, 1013];

const kiosk = {
  failures: 0,
  timer: 0,
  steady: 0,
  why: "",
  retry: "",
  /** Whether the text in the box is to be sent as soon as it can be. */
  waiting: false,
  /** The text that has no reply yet. */
  unanswered: "",

  connecting() {
    if (!isKiosk) return;
    this.takeBack();
    this.retry = this.failures ? `Attempt ${this.failures}.` : "";
    this.show();
    this.after(CONNECT_TIMEOUT_MS, () => this.abandon());
  },

  opened() {
    if (!isKiosk) return;
    clearTimeout(this.timer);
    this.why = this.retry = "";
    this.show();
    this.steady = setTimeout(() => (this.failures = 0), STEADY_MS);
    if (this.waiting) {
      this.waiting = false;
      send();
    }
  },

  heard() {
    if (!isKiosk) return;
    clearTimeout(this.timer);
    this.failures = 0;
    this.unanswered = "";
  },

  asked(text) {
    if (!isKiosk) return;
    this.unanswered = text;
    this.after(REPLY_TIMEOUT_MS, () => this.abandon());
  },

  /** Send was pressed, and could not be done. */
  keep() {
    if (!isKiosk) return;
    this.waiting = true;
    say("The underlying connection is closed. Your text is kept, and sent when it is back.");
  },

  lost(code) {
    if (!isKiosk) return;
    clearTimeout(this.steady);
    if (INNOCENT_CODES.includes(code)) this.takeBack();
    this.unanswered = "";
    this.retryLater();
  },

  /** A text whose reply was lost goes back to the box, unless the visitor has begun another. */
  takeBack() {
    if (this.unanswered && !page.message.value) {
      page.message.value = this.unanswered;
      this.waiting = true;
    }
    this.unanswered = "";
  },

  /** Half to all of a time that doubles: many kiosks must not come back in one moment. */
  retryLater() {
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
    const delay = longest * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.retry = `Attempt ${this.failures} in ${(delay / 1000).toFixed(1)} s.`;
    this.show();
    this.after(delay, connect);
  },

  /** There is one thing to wait for at a time. */
  after(delay, act) {
    clearTimeout(this.timer);
    this.timer = setTimeout(act, delay);
  },

  /** The connection does not answer: it is given up without asking it. */
  abandon() {
    leave();
    showState();
    this.why = "The server does not answer.";
    this.lost(1006);
  },

  /** Something may have changed: no more waiting. */
  wake() {
    if (isKiosk && !document.hidden && root.dataset.state === "CLOSED") connect();
  },

  show() {
    if (isKiosk && !isOpen()) page["state-detail"].textContent = `${this.why} ${this.retry}`.trim();
  },

  start() {
    let ticked = Date.now();
    setInterval(() => {
      const asleep = Date.now() - ticked > ASLEEP_MS;
      ticked = Date.now();
      if (asleep) connect();
    }, TICK_MS);
    addEventListener("visibilitychange", () => this.wake());
    addEventListener("pageshow", () => this.wake());
    addEventListener("contextmenu", (event) => event.target === page.message || event.preventDefault());
  },
};

// --- Link: the address bar says what it takes to be here again

let linking = 0;

/** Browsers refuse an address that changes too often. */
function linkSoon() {
  if (!isKiosk) linking ||= setTimeout(link, 500);
}

function link() {
  linking = 0;
  const query = new URLSearchParams(isChat ? "chat" : "");
  const url = addressed();
  const path = url.host === location.host ? url.pathname + url.search : url.href;
  if (isChat && /^\/chat(\?|$)/.test(path)) url.searchParams.forEach((value, key) => query.set(key, value));
  else if (path !== DEFAULT_PATH) query.set("url", path);
  if (page.subprotocols.value.trim()) query.set("subprotocols", page.subprotocols.value.trim());
  // To a room, nothing is said twice because a page was loaded again.
  if (!isChat && lastText && lastText.length <= MAX_LINKED) query.set("send", lastText);
  history.replaceState(null, "", query.size ? `?${query}`.replace("?chat=", "?chat") : location.pathname);
}

// --- Start

function fillIn() {
  eachField((field) => (field.value = parameters.get(field.id) ?? memory[field.id] ?? ""));
  otherAddress = isChat ? DEFAULT_PATH : roomAddress();
  page.address.value = parameters.get("url") ?? (isChat ? roomAddress() : DEFAULT_PATH);
  page.address.value = parsed()?.href ?? page.address.value; // connecting says what is wrong with it
  page.subprotocols.value = parameters.get("subprotocols") ?? "";
  for (const path of OFFERED_PATHS) {
    const option = document.createElement("option");
    option.value = new URL(path, location.href).href.replace(/^http/, "ws");
    page.addresses.append(option);
  }
}

/** A link alone must not make its reader talk to another server in this page's name. */
function mayConnectUnasked() {
  return (parsed()?.host ?? location.host) === location.host;
}

function wire() {
  const on = (element, name, act) => element.addEventListener(name, act);
  const onSubmit = (form, act) => on(form, "submit", (event) => { event.preventDefault(); act(); });
  onSubmit(page.connect, connect);
  onSubmit(page.compose, send);
  on(page.stop, "click", stop);
  on(page["as-echo"], "click", () => switchTo(false));
  on(page["as-chat"], "click", () => switchTo(true));
  on(page.address, "input", readRoom);
  eachField((field) => on(field, "input", writeRoom));
  on(document, "visibilitychange", () => document.hidden || showUnread(0));
  on(page.orders, "toggle", listOrders);
  on(page.message, "keydown", hearKey);
  on(page.repeat, "click", toggleRepeat);
  on(page["ask-info"], "click", askInfo);
  on(page.pick, "click", () => page.file.click());
  on(page.file, "change", () => sendFiles([...page.file.files]));
  on(page.save, "click", save);
  on(page.clear, "click", clear);
  on(page["as-hex"], "click", () => toggleView("hex"));
  on(page["as-json"], "click", () => toggleView("json"));
  on(page.copy, "click", copy);
  on(page.newest, "click", follow);
  on(page.history, "scroll", noticeScroll);
  on(page.history, "keydown", moveInHistory);
  for (const name of ["click", "focusin", "pointermove"]) {
    on(page.history, name, (event) => event.target.closest("li") && choose(event.target.closest("li")));
  }
  new ResizeObserver(renderSoon).observe(page.history); // what was in view stays so
  on(window, "offline", () => complain("Offline.", OFFLINE));
  on(window, "online", online);
  if (!isKiosk) wireDrop(on);
}

function wireDrop(on) {
  const dropping = (is) => document.body.classList.toggle("dropping", is);
  on(window, "dragover", (event) => { event.preventDefault(); dropping(true); });
  on(window, "dragleave", (event) => event.relatedTarget || dropping(false));
  on(window, "drop", (event) => {
    event.preventDefault();
    dropping(false);
    sendFiles([...event.dataTransfer.files]);
  });
}

function online() {
  page.notice.hidden = true;
  if (isKiosk) connect(); // one that seems open may be of the network before
}

root.dataset.mode = isKiosk ? "kiosk" : "tester";
showMode();
fillIn();
readRoom();
wire();
if (isKiosk) kiosk.start();
if (mayConnectUnasked()) connect();
else note("This link leads to another server. Press Connect to open it.");
page.message.focus();
renderSoon();
