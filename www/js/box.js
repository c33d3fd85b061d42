// The message box: formats JSON in it, and its size.
import { elements, setStatus } from "./page.js";

const { compose, larger, message } = elements;

/** Indents the JSON in the box, or says why it is none. */
export function format() {
  try {
    message.value = JSON.stringify(JSON.parse(message.value), null, 2);
    message.dispatchEvent(new Event("input", { bubbles: true }));
  } catch (error) {
    setStatus(`This is not JSON: ${error.message}`);
  }
}

export function toggleSize() {
  larger.ariaPressed = compose.classList.toggle("large");
  message.focus();
}
