// Shared by all modules: the page's elements and query, one rendering a frame, errors and results.
import * as words from "./words.js";

const ANNOUNCE_MS = 1000;
export const root = document.documentElement;
export const params = new URLSearchParams(location.search);
export const isKiosk = params.has("kiosk");

/** The elements by id, `asHex` for `as-hex`. @type {Record<string, HTMLElement>} */
export const elements = new Proxy({}, {
  get: (_, name) => document.getElementById(name.replace(/[A-Z]/g, "-$&").toLowerCase()),
});

const { notice, noticeTitle, noticeText, noticeAnswer, status, lastText } = elements;
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

/** Shows an error until the next connection is open. `answer` is the server's. */
export function showNotice(title, text, answer) {
  noticeTitle.textContent = title;
  noticeText.textContent = text;
  const [first, ...others] = words.truncate(answer.trim()).split(/(?=\n)/);
  noticeAnswer.replaceChildren(createElement("strong", first), others.join(""));
  noticeAnswer.hidden = !answer;
  notice.hidden = false;
}

export function hideNotice() {
  notice.hidden = true;
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
    lastText.textContent = words.truncate(words.asText(newestMessage));
  }, isKiosk ? 0 : ANNOUNCE_MS);
}
