// Adds entries to the history at once, and renders their rows once a frame.
import { addRenderer, call, createElement, elements, isKiosk, on, scheduleRender, visibleNodes } from "./page.js";
import * as words from "./words.js";

/** Limits, so that a page can stay open for months. */
const MAX_ENTRIES = 1000;
const MAX_HISTORY_BYTES = 2 ** 24;

const { history, dropped: droppedText, log, newest, save, clear, tools, pause, autoscroll, filter, kind } = elements;
const timeFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});

/** @type {words.Entry[]} */
const entries = [];
/** @type {WeakMap<Element, words.Entry>} */
export const entryOf = new WeakMap();
let historyBytes = 0;
let dropped = 0;
/** Whether the list ends at its newest row. */
let isFollowing = true;
/** Where the history was scrolled to. */
let lastTop = 0;
/** Entries while the list was paused; undefined if it is not. */
let pausedAt;
/** Which entries the filter shows. */
let isShown = null;

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

/** Shows only entries for which this returns true; null shows all. */
export function setFilter(predicate) {
  isShown = predicate;
  for (const { row } of entries) if (row) row.hidden = false;
  scheduleRender();
}

function render() {
  if (pausedAt !== undefined) return showCounts();
  const old = entries.findLastIndex((entry) => entry.row) + 1;
  for (let surplus = history.childElementCount - old; surplus > 0; surplus--) {
    const row = history.firstElementChild;
    if (row.contains(tools)) hideTools();
    row.remove();
  }
  history.append(...entries.slice(old).map(createRow));
  if (isShown) for (const entry of entries) entry.row.hidden = !isShown(entry);
  showCounts();
  if (isFollowing && autoscroll.checked) history.scrollTop = history.scrollHeight;
}

function showCounts() {
  const hidden = isShown ? entries.filter(({ row }) => row?.hidden).length : 0;
  const counts = [[dropped, "older entries dropped"], [hidden, "hidden by the filter"]];
  droppedText.textContent = counts.filter(([count]) => count).map(([count, what]) => `${words.formatInteger(count)} ${what}`).join(", ");
  pause.textContent = pausedAt === undefined ? "Pause" : `Resume (${words.formatInteger(dropped + entries.length - pausedAt)} new)`;
}

function togglePause() {
  pausedAt = pausedAt === undefined ? dropped + entries.length : undefined;
  pause.ariaPressed = pausedAt !== undefined;
  scheduleRender();
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
    createElement("span", entry.roundTrip === undefined ? "" : words.formatMs(entry.roundTrip), "size"),
    contentOf(entry),
  );
  row.firstChild.title = entry.from;
  entry.row = row;
  entryOf.set(row, entry);
  return row;
}

export function contentOf(entry) {
  const content = createElement("span", "", `content ${entry.view}`);
  if (entry.view === "text" && entry.name) content.append(createElement("bdi", entry.name), ": ");
  content.append(...visibleNodes(words.rowText(entry)));
  return content;
}

/** Takes the tools out of a row that goes. */
export function hideTools() {
  tools.closest("li")?.classList.remove("selected");
  tools.hidden = true;
  log.append(tools);
}

function clearHistory() {
  entries.length = 0;
  historyBytes = dropped = 0;
  if (pausedAt !== undefined) togglePause();
  hideTools();
  history.replaceChildren();
  scheduleRender();
}

function onScroll() {
  const { scrollTop, clientHeight, scrollHeight } = history;
  // A history that becomes lower has not been scrolled up.
  const isUp = scrollTop < lastTop;
  lastTop = scrollTop;
  isFollowing = scrollHeight - scrollTop - clientHeight < 24 || (isFollowing && !isUp);
  newest.hidden = isFollowing;
}

addRenderer(render);
on(clear, "click", clearHistory);
on(pause, "click", togglePause);
on(autoscroll, "change", scheduleRender);
for (const control of [filter, kind]) on(control, "input", () => call("filter", "apply"));
on(newest, "click", scrollToNewest);
on(save, "click", () => call("row-tools", "save", entries));
on(history, "scroll", onScroll);
for (const type of ["click", "focusin", "pointermove"]) on(history, type, ({ target }) => call("row-tools", "select", target.closest("li")));
// Keeps the newest row in view.
new ResizeObserver(scheduleRender).observe(history);
