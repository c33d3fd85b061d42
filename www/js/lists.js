// The lists that unfold: each is filled when it is opened.
import * as codeList from "./code.js";
import * as faultList from "./faults.js";
import { hideTools } from "./history.js";
import { elements, hideNotice, on } from "./page.js";
import * as reportList from "./report.js";
import * as savedList from "./saved.js";

const { code, faults, message, notice, report, saved } = elements;
/** Each list, and what fills it, unless it is filled. */
const LISTS = [[faults, faultList.show], [code, codeList.show], [report, reportList.show], [saved, savedList.show]];

/** Closes the notice, or else a list. Keeps the focus near. */
export function closeOne() {
  const [list] = LISTS.find(([{ open }]) => open) ?? [];
  if (!notice.hidden) {
    hideNotice();
    message.focus();
  } else if (list) {
    list.open = false;
    list.firstElementChild.focus();
  } else {
    hideTools();
  }
}

/** Fills the lists that are unfolded. */
export function show() {
  for (const [list, fill] of LISTS) if (list.open) fill();
}

on(document, "input", () => code.open && codeList.show());
