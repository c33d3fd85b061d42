// Shared by all modules: the page's elements and query, one rendering a frame, errors and results.
import * as words from "./words.js";

const ANNOUNCE_MS = 1000;
export const root = document.documentElement;
export const params = new URLSearchParams(location.search);
export const isKiosk = params.has("kiosk");
/** The functions of kiosk.js; without `?kiosk`, each of them does nothing. */
export let kiosk = new Proxy({}, { get: () => () => {} });

/** The elements by id, `asHex` for `as-hex`. @type {Record<string, HTMLElement>} */
export const elements = new Proxy({}, {
  get: (_, name) => document.getElementById(name.replace(/[A-Z]/g, "-$&").toLowerCase()),
});

const {
  notice, noticeTitle, noticeText, noticeFix, noticeMore, noticeDetails, noticeCopy,
  noticeCommand, noticeClose, status, lastText,
} = elements;
const renderers = [];
let animationFrame = 0;
let nextRender = 0;
let newestMessage = "";
let announceTimer = 0;

export function createElement(tag, text, className = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Returns nodes of the text, in which invisible characters are named. */
export const visibleNodes = (text) => words.splitInvisible(text).map((part, n) => (n % 2 ? createElement("span", words.codePoint(part), "invisible") : part));

export function on(target, type, listener) {
  target.addEventListener(type, listener);
}

/** Adds a listener that replaces the default action. */
export function onInstead(target, type, listener) {
  on(target, type, (event) => { event.preventDefault(); listener(event); });
}

export function addRenderer(renderer) {
  renderers.push(renderer);
}

export function scheduleRender() {
  animationFrame ||= requestAnimationFrame(render);
}

/** Renders, then pauses four times as long: in a flood, rows that nobody can read must not slow
 * down the messages. */
function render(now) {
  animationFrame = 0;
  if (now < nextRender) return scheduleRender();
  for (const renderer of renderers) renderer();
  const end = performance.now();
  nextRender = end + 4 * (end - now);
}

/** Shows an error until the next connection is open: what is wrong, where that is known from, what to do,
 * and what else is known, which unfolds. */
export function showNotice({ title, text = "", fix = "", details = "", command = "" }) {
  noticeTitle.replaceChildren(...visibleNodes(title));
  noticeText.textContent = text;
  for (const [element, content] of [[noticeFix, fix], [noticeDetails, details]]) {
    element.textContent = words.truncate(content.trim());
    element.parentElement.hidden = !content;
  }
  noticeMore.open = false;
  noticeCommand.hidden = !command;
  noticeCommand.title = command;
  notice.hidden = false;
}

export function hideNotice() {
  notice.hidden = true;
}

/** Copies a text, and says so. `button` gets the focus back. */
export async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS, only loopback has a clipboard.
    copyBySelection(text, button);
  }
  setStatus("Copied.", false);
}

function copyBySelection(text, button) {
  const box = createElement("textarea", text);
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
  button.focus();
}

/** Loads a module that the first view does not need. Returns undefined if that fails. */
export async function load(name) {
  try { return await import(`./${name}.js`); } catch { return undefined; }
}

export function setKiosk(functions) {
  kiosk = functions;
}

/** Calls a function of such a module, or says that it cannot be loaded. */
export async function call(name, functionName, ...values) {
  const loaded = await load(name);
  if (loaded) loaded[functionName](...values);
  else setStatus("This part of the page could not be loaded. Reload the page once the server runs.");
}

export function setStatus(text, isError = true) {
  status.classList.toggle("error", isError);
  status.textContent = text;
}

/** Shows the newest message to assistive technology and in the kiosk. */
export function announce(message) {
  newestMessage = message;
  announceTimer ||= setTimeout(() => {
    announceTimer = 0;
    lastText.replaceChildren(...visibleNodes(words.truncate(words.asText(newestMessage))));
  }, isKiosk ? 0 : ANNOUNCE_MS);
}

on(noticeCopy, "click", () => copyText([noticeTitle, noticeText, noticeFix, noticeDetails].map((part) => part.textContent).filter(Boolean).join("\n\n"), noticeCopy));
on(noticeCommand, "click", () => copyText(noticeCommand.title, noticeCommand));
on(noticeClose, "click", hideNotice);
