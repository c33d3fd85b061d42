// The Up and Down keys bring earlier messages back into the box.
import { recall } from "./compose.js";
import { elements, isKiosk, on } from "./page.js";

const { message } = elements;

function onKeyDown(event) {
  const { key, isComposing } = event;
  if (isComposing || isKiosk) return;
  if (key === "ArrowUp" && !message.value.slice(0, message.selectionStart).includes("\n")) {
    move(-1, event);
  } else if (key === "ArrowDown" && recall.at < recall.texts.length) {
    move(1, event);
  }
}

function move(step, event) {
  const to = recall.at + step;
  if (to < 0 || to > recall.texts.length) return;
  event.preventDefault();
  if (recall.at === recall.texts.length) recall.draft = message.value;
  recall.at = to;
  message.value = recall.texts[to] ?? recall.draft;
}

on(message, "keydown", onKeyDown);
