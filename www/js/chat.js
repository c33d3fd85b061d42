// Switches between echo and chat. room.js shows the room.
import { DEFAULT_PATH, isRoom, roomAddress } from "./address.js";
import { connect, readAddress } from "./connection.js";
import { elements, isKiosk, load, on, params, root } from "./page.js";

const { address, room: roomField, name: nameField, asEcho, asChat } = elements;
const fields = [roomField, nameField];
/** The stored fields, if the browser permits. */
const storage = (() => { try { return localStorage; } catch { return {}; } })();

export let isChat = !isKiosk && params.has("chat");
/** The address of the mode that is not shown. */
let otherAddress = "";
/** room.js, once a chat was opened. @type {typeof import("./room.js")|undefined} */
export let chatRoom;

/** Connects, to a chat once room.js is loaded. */
export async function start() {
  if (isChat) chatRoom ??= await load("room");
  connect();
}

function setMode(chat) {
  if (chat === isChat) return;
  isChat = chat;
  [address.value, otherAddress] = [otherAddress, address.value];
  showMode();
  start();
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
on(asEcho, "click", () => setMode(false));
on(asChat, "click", () => setMode(true));
on(address, "input", readRoom);
fields.forEach((field) => on(field, "input", writeRoom));
