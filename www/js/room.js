// The room of a chat: its messages and members, by the events of any server's /chat.
import { addEntry, addEvent } from "./history.js";
import { addRenderer, announce, createElement, elements, on, scheduleRender } from "./page.js";
import { formatInteger, isText } from "./words.js";

export { parseEvent } from "./chat-events.js";

const MAX_LISTED_MEMBERS = 100;
/** Clocks of page and server that differ by less count as one. */
const CLOCK_MS = 1000;

const { members, memberCount, memberList } = elements;
const title = document.title;
/** The room joined. @type {{name: string, seq: number, members: Set<string>}|null} */
export let room = null;
let membersChanged = false;
/** When the last event happened that was no older message. */
let latest = 0;
/** Messages that arrived while the page was hidden. */
let unread = 0;

/** Returns whether an event is this page's message of this session. */
export const isOwn = (event) => event.type === "message" && event.from === room?.name && isNew(event);

/** Returns whether a message is newer than the welcome, which older ones follow. */
const isNew = ({ seq }) => !(seq <= room?.seq);

/** Shows an event; `data` is its JSON, of `size` bytes. */
export function show(event, data, size, roundTrip) {
  const { type, name } = event;
  const at = timeOf(event);
  if (type === "message") return showMessage(event, at, data, size, roundTrip);
  if (type === "welcome") return enterRoom(event);
  room?.members[type === "join" ? "add" : "delete"](name);
  membersChanged = true;
  addEvent(`${name} ${type}s.`, { at });
}

/** Returns when an event happened. Where the clocks of page and server differ by little, no row is older than
 * the one before. */
function timeOf(event) {
  const told = Date.parse(event.at) || Date.now();
  if (isNew(event)) latest = told < latest && latest - told < CLOCK_MS ? latest : told;
  return isNew(event) ? latest : told;
}

function showMessage(event, at, data, size, roundTrip) {
  const { from: name, text: displayText } = event;
  const own = isOwn(event);
  addEntry(own ? "sent" : "received", data, size, { at, name, displayText, roundTrip });
  if (own) return;
  announce(`${name}: ${displayText}`);
  if (document.hidden && isNew(event)) showUnread(unread + 1);
}

function enterRoom({ room: roomName, name, members: names, seq }) {
  latest = Date.now();
  addEvent(`You joined ${roomName} as ${name}.`);
  setRoom({ name, seq, members: new Set([names].flat().filter(isText)) });
}

export const leave = () => setRoom(null);

function setRoom(next) {
  room = next;
  membersChanged = true;
  scheduleRender();
}

function renderMembers() {
  if (!membersChanged) return;
  membersChanged = false;
  const names = [...(room?.members ?? [])];
  members.hidden = !room;
  memberCount.textContent = `Members: ${formatInteger(names.length)}`;
  const listed = names.slice(0, MAX_LISTED_MEMBERS).map((name) => name + (name === room.name ? " (you)" : ""));
  memberList.replaceChildren(...listed.map((name) => createElement("li", name)));
}

function showUnread(count) {
  unread = count;
  document.title = count ? `(${count}) wsecho` : title;
}

addRenderer(renderMembers);
on(document, "visibilitychange", () => document.hidden || showUnread(0));
