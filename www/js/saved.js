// Messages that this browser keeps, to send them again.
import { createElement, elements, on, setStatus } from "./page.js";

const MAX_SAVED = 50;
const KEY = "messages";

const { savedList, message, form } = elements;
/** @type {{text: string, form: string}[]} */
let saved = read();

function read() {
  try {
    const found = JSON.parse(localStorage[KEY]);
    return found.filter(({ text, form: as }) => [text, as].every((value) => typeof value === "string"));
  } catch {
    return [];
  }
}

function write() {
  try {
    localStorage[KEY] = JSON.stringify(saved);
  } catch {
    setStatus("The browser does not store it; it is kept until you leave the page.");
  }
  show();
}

/** Keeps the message in the box, as the newest. */
export function keep() {
  const kept = { text: message.value, form: form.value };
  if (!kept.text) return setStatus("Write a message to save it.");
  saved = [kept, ...saved.filter(({ text }) => text !== kept.text)].slice(0, MAX_SAVED);
  write();
}

export function show() {
  savedList.replaceChildren(...saved.map(createItem));
}

function createItem(item) {
  const row = createElement("li", "", "bar");
  const use = createElement("button", item.text.slice(0, 200), "small");
  const remove = createElement("button", "Remove", "small");
  use.dir = "auto";
  remove.ariaLabel = `Remove ${item.text.slice(0, 40)}`;
  for (const button of [use, remove]) button.type = "button";
  on(use, "click", () => {
    [message.value, form.value] = [item.text, item.form];
    message.dispatchEvent(new Event("input", { bubbles: true }));
    message.focus();
  });
  on(remove, "click", () => {
    saved = saved.filter((other) => other !== item);
    write();
  });
  row.append(use, remove);
  return row;
}
