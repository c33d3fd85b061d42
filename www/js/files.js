// Sends files as binary messages: chosen in a dialog, or dropped on the page.
import { transmit } from "./compose.js";
import { elements, isKiosk, on, onInstead, setStatus } from "./page.js";
import { formatBytes } from "./words.js";

const MAX_FILE_BYTES = 16 * 1024 * 1024;

const { file } = elements;

export const pick = () => file.click();

async function send(files) {
  for (const next of files) {
    if (next.size > MAX_FILE_BYTES) {
      setStatus(`${next.name} is larger than ${formatBytes(MAX_FILE_BYTES)}.`);
    } else {
      transmit(new Uint8Array(await next.arrayBuffer()));
    }
  }
  // Otherwise, choosing the same file again would not be a change.
  file.value = "";
}

const showDropTarget = (isShown) => document.body.classList.toggle("dropping", isShown);

on(file, "change", () => send([...file.files]));
if (!isKiosk) {
  onInstead(window, "dragover", () => showDropTarget(true));
  on(window, "dragleave", (event) => event.relatedTarget || showDropTarget(false));
  onInstead(window, "drop", ({ dataTransfer }) => {
    showDropTarget(false);
    send([...dataTransfer.files]);
  });
}
