// Adds entries to the history at once, and renders their rows once a frame.
import { addRenderer, call, createElement, elements, isKiosk, on, scheduleRender } from "./page.js";
import * as words from "./words.js";

/** Limits, so that a page can stay open for months. */
const MAX_ENTRIES = 1000;
const MAX_HISTORY_BYTES = 2 ** 24;

const { history, dropped: droppedText, log, newest, save, clear, tools } = elements;
const timeFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});

/** @type {words.Entry[]} */
const entries = [];
/** @type {WeakMap<Element, words.Entry>} */
export const entryOf = new WeakMap();
let historyBytes = 0;
let dropped = 0;
let isFollowing = true;

/** Adds an entry; the kiosk has no history. */
export function addEntry(from, data, size = 0, more) {
  if (isKiosk) return;
  entries.push({ from, at: Date.now(), data, size, view: words.isText(data) ? "text" : "hex", ...more });
  historyBytes += size;
  while (entries.length > MAX_ENTRIES || (historyBytes > MAX_HISTORY_BYTES && entries.length > 1)) {
    historyBytes -= entries.shift().size;
    dropped += 1;
  }
  scheduleRender();
}

export function addEvent(text, more) {
  addEntry("event", text, 0, more);
}

export function scrollToNewest() {
  isFollowing = true;
  newest.hidden = true;
  scheduleRender();
}

function render() {
  const old = entries.findLastIndex((entry) => entry.row) + 1;
  for (let surplus = history.childElementCount - old; surplus > 0; surplus--) {
    const row = history.firstElementChild;
    if (row.contains(tools)) hideTools();
    row.remove();
  }
  history.append(...entries.slice(old).map(createRow));
  droppedText.textContent = dropped ? `${words.formatInteger(dropped)} older entries dropped` : "";
  if (isFollowing) history.scrollTop = history.scrollHeight;
}

function createRow(entry) {
  const row = createElement("li");
  row.dataset.from = entry.from;
  row.tabIndex = -1;
  const arrow = { sent: "↑", received: "↓", event: "·" }[entry.from];
  row.append(
    createElement("span", arrow, "arrow"),
    createElement("time", timeFormat.format(entry.at)),
    createElement("span", entry.from === "event" ? "" : words.formatBytes(entry.size), "size"),
    contentOf(entry),
  );
  row.firstChild.title = entry.from;
  entry.row = row;
  entryOf.set(row, entry);
  return row;
}

export const contentOf = (entry) => createElement("span", words.rowText(entry), `content ${entry.view}`);

/** Takes the tools out of a row that goes. */
export function hideTools() {
  tools.closest("li")?.classList.remove("selected");
  tools.hidden = true;
  log.append(tools);
}

function clearHistory() {
  entries.length = 0;
  historyBytes = dropped = 0;
  hideTools();
  history.replaceChildren();
  scheduleRender();
}

function onKeyDown(event) {
  const { firstElementChild: first, lastElementChild: last } = history;
  const row = event.target.closest("li");
  const to = {
    ArrowUp: row ? row.previousElementSibling : last,
    ArrowDown: row ? row.nextElementSibling : first,
    Home: first,
    End: last,
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to.focus();
}

function onScroll() {
  const { scrollTop, clientHeight, scrollHeight } = history;
  isFollowing = scrollHeight - scrollTop - clientHeight < 24;
  newest.hidden = isFollowing;
}

addRenderer(render);
on(clear, "click", clearHistory);
on(newest, "click", scrollToNewest);
on(save, "click", () => call("row-tools", "save", entries));
on(history, "scroll", onScroll);
on(history, "keydown", onKeyDown);
for (const type of ["click", "focusin", "pointermove"]) on(history, type, ({ target }) => call("row-tools", "select", target.closest("li")));
// Keeps the newest row in view.
new ResizeObserver(scheduleRender).observe(history);
