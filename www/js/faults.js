// Lists the query parameters of this server that inject faults and delays, as /help has them.
import { readAddress } from "./connection.js";
import { fetchText } from "./http.js";
import { createElement, elements, on } from "./page.js";

const { faultList, faultsStatus, address } = elements;

/** Fills the list, unless it is filled. */
export async function show() {
  if (faultList.firstChild) return;
  const { failure, text } = await fetchText("/help");
  const lines = [...text.matchAll(/^ {2}(\S+=\S+) +(.+)$/gm)];
  faultList.replaceChildren(...lines.map(createButton));
  faultsStatus.textContent = failure ?? (lines.length ? "" : text || "The server lists no parameters.");
}

function createButton([, parameter, effect]) {
  const button = createElement("button", "", "small");
  button.type = "button";
  button.append(createElement("code", parameter), ` ${effect}`);
  on(button, "click", () => add(parameter));
  return button;
}

/** Adds a parameter to the address, or to /echo if the address takes none. */
function add(parameter) {
  if (!/^\/(ws|echo)$/.test(readAddress()?.pathname)) address.value = "/echo";
  const url = readAddress();
  url.searchParams.set(...parameter.split("="));
  address.value = url.href;
  address.dispatchEvent(new Event("input", { bubbles: true }));
  faultsStatus.textContent = `Press Connect to open ${url.pathname}${url.search}`;
}
