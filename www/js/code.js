// Shows programs that do what the form does, to copy.
import { readAddress } from "./connection.js";
import { copyText, createElement, elements, on } from "./page.js";
import { snippets } from "./snippets.js";

const { codeList, subprotocols, message } = elements;

/** Shows the programs for what the form has now. */
export function show() {
  const url = readAddress();
  if (!url) return;
  const names = subprotocols.value.split(/[\s,]+/).filter(Boolean);
  codeList.replaceChildren(...snippets(url.href, names, message.value || "hello", location.origin).flatMap(createSnippet));
}

function createSnippet([name, text]) {
  const title = createElement("div", "", "bar");
  const button = createElement("button", "Copy", "small");
  button.type = "button";
  button.ariaLabel = `Copy ${name}`;
  title.append(createElement("strong", name), button);
  on(button, "click", () => copyText(text, button));
  const shown = createElement("pre", text);
  shown.tabIndex = 0;
  shown.role = "group";
  shown.ariaLabel = name;
  return [title, shown];
}
