// The tools of a message: other views, and Copy; and saving the whole history.
import { contentOf, entryOf, hideTools } from "./history.js";
import { copyText, createElement, elements, on } from "./page.js";
import * as forms from "./message-forms.js";

const { history, tools, asJson, asHex, asBase64, copy } = elements;
/** The button of each view. */
const VIEWS = { hex: asHex, base64: asBase64, json: asJson };

/** Offers the entries as a file of JSON lines. */
export function save(entries) {
  const link = createElement("a");
  link.href = URL.createObjectURL(new Blob(entries.map(forms.jsonLine), { type: "application/jsonl" }));
  link.download = `wsecho-${new Date().toISOString().replace(/[:.]/g, "-")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Shows the tools in this row. All rows share them: three buttons a row would be thousands of Tab stops. */
export function select(row) {
  const entry = entryOf.get(row);
  if (!entry || row.contains(tools)) return;
  hideTools();
  row.classList.add("selected");
  row.append(tools);
  tools.hidden = false;
  asJson.hidden = !forms.isJson(entry);
  asHex.hidden = asBase64.hidden = entry.from === "event";
  updateViewButtons(entry);
}

function updateViewButtons({ view }) {
  for (const [name, button] of Object.entries(VIEWS)) button.ariaPressed = view === name;
}

const selectedEntry = () => entryOf.get(tools.closest("li"));

/** Shows the selected message in this view, or again as text. */
function toggleView(view) {
  const entry = selectedEntry();
  entry.view = entry.view === view ? "text" : view;
  entry.row.querySelector(".content").replaceWith(contentOf(entry));
  updateViewButtons(entry);
}

/** The arrow keys move from row to row, of those that are shown. */
function onKeyDown(event) {
  const rows = [...history.children].filter(({ hidden }) => !hidden);
  const at = rows.indexOf(event.target.closest("li"));
  const to = {
    ArrowUp: at < 0 ? rows.at(-1) : rows[at - 1],
    ArrowDown: rows[at + 1],
    Home: rows[0],
    End: rows.at(-1),
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to.focus();
}

on(history, "keydown", onKeyDown);
for (const [name, button] of Object.entries(VIEWS)) on(button, "click", () => toggleView(name));
on(copy, "click", () => copyText(forms.copyText(selectedEntry()), copy));
