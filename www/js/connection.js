// Opens and closes the WebSocket to the address in the form, and tells why a handshake fails.
import { elements, on, onInstead, params, root } from "./page.js";
import * as words from "./words.js";

const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
const TIMEOUT_MS = 5000;
export const OFFLINE = "This device is offline.";
const { connect: form, address, subprotocols, stop, stateWord, stateDetail } = elements;

/** @type {{url: URL, socket: WebSocket, wasOpen: boolean, isStopped: boolean}|null} */
let current = null;
let observer;

/** Sets what to call: onDrop, to forget the connection; onConnecting; onOpen(socket);
 * onMessage(event); onClose(code, description, connection); onFailure(text, answer), after onClose
 * if the handshake fails; onError(title, text). */
export function observe(functions) {
  observer = functions;
}

/** The address in the form; undefined if invalid. */
export function readAddress() {
  try { return words.parseAddress(address.value, location.href); } catch { return undefined; }
}

export function connect() {
  disconnect();
  try {
    const url = words.parseAddress(address.value, location.href);
    const socket = new WebSocket(url, subprotocols.value.split(/[\s,]+/).filter(Boolean));
    current = { url, socket, wasOpen: false, isStopped: false };
  } catch (error) {
    return observer.onError("Cannot connect.", error.message);
  }
  current.socket.binaryType = "arraybuffer";
  listen("open", onOpen);
  listen("message", observer.onMessage);
  listen("close", onClose);
  showState();
  observer.onConnecting();
  setTimeout(() => state() === "CONNECTING" && explainFailure(current), params.get("wait") ?? TIMEOUT_MS);
}

/** Adds a listener, which is not called once the socket is dropped. */
function listen(type, listener) {
  const connection = current;
  on(connection.socket, type, (event) => connection === current && listener(event));
}

/** Drops the socket without its closing handshake. */
export function disconnect() {
  const previous = current;
  current = null;
  observer.onDrop();
  previous?.socket.close(1000);
  showState();
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
  const { socket } = current;
  current.wasOpen = true;
  showState(socket.protocol && `subprotocol ${socket.protocol}`);
  observer.onOpen(socket);
}

function onClose(event) {
  observer.onDrop();
  const isFailure = !current.wasOpen && !current.isStopped;
  const description = words.describeClose(event, current);
  showState(isFailure ? "" : description);
  observer.onClose(event.code, description, current);
  if (isFailure) explainFailure(current);
}

/** Browsers hide why a handshake fails, so a GET asks for the reason. */
async function explainFailure(failed) {
  const url = new URL(failed.url.href.replace(/^ws/, "http"));
  if (url.origin !== location.origin) {
    return observer.onFailure(navigator.onLine ? "The browser hides the reason from pages of another origin; its console may show it." : OFFLINE);
  }
  const { failure, status, text } = await fetchText(url);
  if (failed === current && !failed.wasOpen) observer.onFailure(failure ?? words.describeStatus(status), text);
}

/** Returns status and text of a response, or why there is none. The Referer stands for the Origin. */
export async function fetchText(url) {
  try {
    const response = await fetch(url, { cache: "no-store", redirect: "manual", referrerPolicy: "origin", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
    return { status: response.status, text: isText ? await response.text() : "" };
  } catch {
    return { failure: navigator.onLine ? "The server cannot be reached." : OFFLINE, text: "" };
  }
}

function showState(detail = "") {
  root.dataset.state = stateWord.textContent = state();
  stop.ariaDisabled = /^CLOS/.test(state());
  stateDetail.textContent = detail;
}

subprotocols.value = params.get("subprotocols") ?? "";
onInstead(form, "submit", connect);
on(stop, "click", close);
