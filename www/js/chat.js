// Switches between echo and chat, and shows the room of a chat by the events of any server's /chat.
import { DEFAULT_PATH, isRoom, roomAddress } from "./address.js";
import { connect, readAddress } from "./connection.js";
import { addEntry, addEvent } from "./history.js";
import { addRenderer, announce, createElement, elements, isKiosk, on, params, root, scheduleRender } from "./page.js";
import * as words from "./words.js";

const MAX_LISTED_MEMBERS = 100;

const { address, room: roomField, name: nameField, asEcho, asChat, members, memberCount, memberList } = elements;
const fields = [roomField, nameField];
const title = document.title;
/** The stored fields, if the browser permits. */
const storage = (() => { try { return localStorage; } catch { return {}; } })();

export let isChat = !isKiosk && params.has("chat");
/** The address of the mode that is not shown. */
let otherAddress = "";
/** The room joined. @type {{name: string, seq: number, members: Set<string>}|null} */
export let room = null;
let membersChanged = false;
/** Messages that arrived while the page was hidden. */
let unread = 0;

/** Returns whether an event is this page's message of this session. */
export const isOwn = (event) => event.type === "message" && event.from === room?.name && isNew(event);

/** Returns whether a message is newer than the welcome, which older ones follow. */
const isNew = ({ seq }) => !(seq <= room?.seq);

/** Shows an event; `data` is its JSON, of `size` bytes. */
export function showEvent(event, data, size, roundTrip) {
  const { type, name } = event;
  const at = Date.parse(event.at) || Date.now();
  if (type === "message") return showMessage(event, at, data, size, roundTrip);
  if (type === "welcome") return enterRoom(event);
  room?.members[type === "join" ? "add" : "delete"](name);
  membersChanged = true;
  addEvent(`${name} ${type}s.`, { at });
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
  addEvent(`You joined ${roomName} as ${name}.`);
  setRoom({ name, seq, members: new Set([names].flat().filter(words.isText)) });
}

export const leaveRoom = () => setRoom(null);

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
  memberCount.textContent = `Members: ${words.formatInteger(names.length)}`;
  const listed = names.slice(0, MAX_LISTED_MEMBERS).map((name) => name + (name === room.name ? " (you)" : ""));
  memberList.replaceChildren(...listed.map((name) => createElement("li", name)));
}

function showUnread(count) {
  unread = count;
  document.title = count ? `(${count}) wsecho` : title;
}

function setMode(chat) {
  if (chat === isChat) return;
  isChat = chat;
  [address.value, otherAddress] = [otherAddress, address.value];
  showMode();
  connect();
}

function showMode() {
  root.dataset.service = isChat ? "chat" : "echo";
  asEcho.ariaPressed = !isChat;
  asChat.ariaPressed = isChat;
}

function readRoom() {
  const url = readAddress();
  if (isChat && isRoom(url)) fields.forEach((field) => (field.value = url.searchParams.get(field.id) ?? ""));
}

function writeRoom() {
  address.value = addressOfRoom(readAddress());
  fields.forEach(({ id, value }) => (storage[id] = value));
}

const addressOfRoom = (url) => roomAddress(url, location.href, { room: roomField.value, name: nameField.value });

showMode();
fields.forEach((field) => (field.value = params.get(field.id) ?? storage[field.id] ?? ""));
otherAddress = isChat ? DEFAULT_PATH : addressOfRoom();
address.value = params.get("url") ?? (isChat ? addressOfRoom() : DEFAULT_PATH);
// An invalid address stays as it is; `connect` shows the error.
address.value = readAddress()?.href ?? address.value;
readRoom();
addRenderer(renderMembers);
on(asEcho, "click", () => setMode(false));
on(asChat, "click", () => setMode(true));
on(address, "input", readRoom);
fields.forEach((field) => on(field, "input", writeRoom));
on(document, "visibilitychange", () => document.hidden || showUnread(0));
