// The tools of a message: other views, and Copy; and saving the whole history.
import { contentOf, entryOf, hideTools } from "./history.js";
import { copyText, createElement, elements, on } from "./page.js";
import * as forms from "./message-forms.js";

const { tools, asJson, asHex, copy } = elements;

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
  asHex.hidden = entry.from === "event";
  updateViewButtons(entry);
}

function updateViewButtons({ view }) {
  asHex.ariaPressed = view === "hex";
  asJson.ariaPressed = view === "json";
}

const selectedEntry = () => entryOf.get(tools.closest("li"));

/** Shows the selected message in this view, or again as text. */
function toggleView(view) {
  const entry = selectedEntry();
  entry.view = entry.view === view ? "text" : view;
  entry.row.querySelector(".content").replaceWith(contentOf(entry));
  updateViewButtons(entry);
}

on(asHex, "click", () => toggleView("hex"));
on(asJson, "click", () => toggleView("json"));
on(copy, "click", () => copyText(forms.copyText(selectedEntry()), copy));
