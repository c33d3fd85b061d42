// What the server saw of the connection: both heads, the frames and the end, from its /report.
import { takesParameters, withParameter } from "./address.js";
import { prepareWith, state } from "./connection.js";
import { fetchText } from "./http.js";
import { createElement, elements, on } from "./page.js";
import { describeEnd, describeFrame, formatHead } from "./report-words.js";
import * as words from "./words.js";

const COLUMNS = ["Time", "From", "Frame", "Bytes", "CRC-32"];
/** The server may see the end of a connection a moment later than the browser. */
const ATTEMPTS = 5;
const RETRY_MS = 200;
const { record, reportContent, reportRefresh, reportStatus } = elements;
/** Names the report on the connection; empty without one. */
let token = "";

/** Asks for a report if it is wanted. */
function prepare(url) {
  token = record.checked && takesParameters(url, location.host) ? newToken() : "";
  return token ? withParameter(url, "report", token) : url;
}

/** 128 random bits. */
function newToken() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Fetches the report and shows it, or says why there is none. */
export async function show(attempts = ATTEMPTS) {
  const asked = token;
  if (!asked) return showNothing(record.checked ? "Press Connect to record a session." : "This session is not recorded.");
  const { failure, text } = await fetchText(`/report?token=${asked}`, "application/json");
  if (asked !== token) return;
  const report = words.parseJson(text);
  if (!report?.frames) return showNothing(failure ?? text);
  if (!report.end && state() === "CLOSED" && attempts > 1) setTimeout(() => asked === token && show(attempts - 1), RETRY_MS);
  reportStatus.textContent = `${describeEnd(report)} ${words.formatInteger(report.frames.length)} frames recorded${
    report.frames_not_recorded ? `, ${words.formatInteger(report.frames_not_recorded)} more` : ""}.`;
  const heads = createElement("div", "", "heads");
  heads.append(
    createHead("Request, as the server received it", report.request),
    createHead("Response, as the server sent it", report.response),
  );
  reportContent.replaceChildren(createTable(report.frames), heads);
}

function showNothing(text) {
  reportStatus.textContent = text;
  reportContent.replaceChildren();
}

function createHead(title, head) {
  const section = createElement("div", "");
  const text = createElement("pre", formatHead(head));
  text.tabIndex = 0;
  section.append(createElement("h3", title), text);
  return section;
}

function createTable(frames) {
  const table = createElement("table", "");
  table.createTHead().insertRow().append(...COLUMNS.map((name) => {
    const cell = createElement("th", name);
    cell.scope = "col";
    return cell;
  }));
  const body = table.createTBody();
  for (const frame of frames) {
    body.insertRow().append(...describeFrame(frame).map((text) => createElement("td", text)));
  }
  return table;
}

prepareWith(prepare);
on(reportRefresh, "click", () => show());
