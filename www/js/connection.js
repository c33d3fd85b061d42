// Opens and closes the WebSocket to the address in the form.
import { parseAddress } from "./address.js";
import { elements, isKiosk, kiosk, load, on, onInstead, params, root } from "./page.js";
import * as words from "./words.js";

const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
const TIMEOUT_MS = 5000;
export const OFFLINE = "This device is offline.";
const { connect: form, address, subprotocols, stop, stateWord, stateDetail } = elements;

/** Hosts that the Content-Security-Policy of the page forbids. Collected from the start, as the module that
 * explains failures may be loaded after such a violation. */
const forbidden = new Set();

/** @type {{url: URL, socket: WebSocket, since: number, wasOpen: boolean, isStopped: boolean, isClosed: boolean}|null} */
let current = null;
let observer;
let prepare = (url) => url;

/** Sets what to call: onDrop, to forget the connection; onConnecting(url); onOpen(url);
 * onMessage(event); onReplace(description, connection), if another one is opened; onClose(code,
 * description, connection); onFailure(explanation), after onClose if the handshake fails;
 * onError(explanation). */
export function observe(functions) {
  observer = functions;
}

/** The address in the form; undefined if invalid. */
export function readAddress() {
  try { return parseAddress(address.value, location.href); } catch { return undefined; }
}

/** The address of the connection, open or not; undefined before the first one. */
export const sessionUrl = () => current?.url;

/** Sets what turns the address into the URL that is opened. */
export function prepareWith(prepareUrl) {
  prepare = prepareUrl;
}

/** What was negotiated, such as compression; empty without a connection. */
export const extensions = () => current?.socket.extensions ?? "";

export function connect() {
  disconnect();
  let url;
  let socket;
  try {
    url = parseAddress(address.value, location.href);
    socket = new WebSocket(prepare(url), subprotocols.value.split(/[\s,]+/).filter(Boolean));
    current = { url, socket, since: performance.now(), wasOpen: false, isStopped: false, isClosed: false };
  } catch (error) {
    return observer.onError({ title: `Cannot connect${url ? ` to ${url}` : ""}.`, text: error.message });
  }
  address.value = url.href;
  socket.binaryType = "arraybuffer";
  listen("open", onOpen);
  listen("message", observer.onMessage);
  listen("close", onClose);
  // Chromium sends no close event if a Content-Security-Policy forbids the connection.
  listen("error", () => setTimeout(() => current?.socket === socket && !current.isClosed && onClose({ code: 1006 })));
  showState();
  observer.onConnecting(url);
  setTimeout(() => state() === "CONNECTING" && explainFailure(current), params.get("wait") ?? TIMEOUT_MS);
}

/** Adds a listener, which is not called once the socket is dropped. */
export function listen(type, listener) {
  const connection = current;
  on(connection.socket, type, (event) => connection === current && listener(event));
}

/** Drops the socket without waiting for its closing handshake. `end` as in `showState`. */
export function disconnect(end = "ordinary") {
  const previous = current;
  current = null;
  if (!previous || previous.socket.readyState === WebSocket.CLOSED) return observer.onDrop();
  previous.isStopped = true;
  observer.onReplace(words.describeClose({ code: 1000, reason: "" }, previous), previous);
  observer.onDrop();
  previous.socket.close(1000);
  showState(end);
}

function close() {
  if (/^CLOS/.test(state())) return;
  current.isStopped = true;
  current.socket.close(1000);
  showState();
}

/** Sends; returns whether it could. */
export function send(data) {
  if (state() !== "OPEN") return false;
  current.socket.send(data);
  return true;
}

export const bufferedBytes = () => (state() === "OPEN" ? current.socket.bufferedAmount : 0);

export const state = () => STATES[current?.socket.readyState ?? WebSocket.CLOSED];

function onOpen() {
  current.wasOpen = true;
  showState();
  observer.onOpen(current.url);
}

function onClose(event) {
  observer.onDrop();
  current.isClosed = true;
  const isFailure = !current.wasOpen && !current.isStopped;
  showState(current.isStopped || event.code === 1000 ? "ordinary" : "lost");
  observer.onClose(event.code, words.describeClose(event, current), current);
  if (isFailure) explainFailure(current);
}

/** Browsers hide why a handshake fails. */
async function explainFailure(failed) {
  const failure = await load("failure");
  const explanation = await failure?.explain(failed.url, failed.since, forbidden);
  if (failed !== current || failed.wasOpen) return;
  observer.onFailure(explanation ?? { title: navigator.onLine ? "The server cannot be reached." : OFFLINE });
}

/** Shows the state, and which server it is about. `end` says how the last connection ended: `ordinary`, or
 * `lost`; it is empty without one. */
function showState(end = "") {
  root.dataset.state = state();
  stateWord.textContent = kiosk.wordFor(state()) ?? state();
  root.dataset.end = end;
  stop.ariaDisabled = /^CLOS/.test(state());
  const { url, socket } = current ?? {};
  const detail = `${url ?? ""}${socket?.protocol ? `, subprotocol ${socket.protocol}` : ""}`;
  stateDetail.textContent = isKiosk ? "" : detail;
  showEdited();
}

/** Marks an address that is not the connection's, so that it does not look connected. */
function showEdited() {
  root.dataset.edited = Boolean(current) && readAddress()?.href !== current.url.href;
}

on(document, "securitypolicyviolation", ({ blockedURI }) => {
  try { forbidden.add(new URL(blockedURI).host); } catch { /* Such as `inline`. */ }
});
subprotocols.value = params.get("subprotocols") ?? "";
onInstead(form, "submit", connect);
on(form, "input", showEdited);
on(stop, "click", close);
showState();
