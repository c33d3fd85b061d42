// The kiosk reconnects and resends by itself, as a visitor cannot press Connect.
import { takesParameters, withParameter } from "./address.js";
import { connect, disconnect, prepareWith, sessionUrl, state } from "./connection.js";
import { elements, on, params, root, setStatus } from "./page.js";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** After this time, a connection resets the retry delay. */
const STABLE_MS = 5000;
/** A hidden page's timers run once a minute; after a longer gap, the machine slept. */
const TICK_MS = 5000;
const SLEEP_MS = 150_000;
/** Between two looks whether the server still answers: less than its own Pings take. */
const PROBE_MS = 1000 * (params.get("probe") ?? 20);
/** Close codes that do not blame the message, which is sent again. */
const RESEND_CODES = [1001, 1006, 1012, 1013];

/** After so much time without a visitor the texts are removed; 0 keeps them. */
const RESET_MS = 1000 * params.get("reset");
/** The name of this screen in the server's log and `/sessions`. */
const SCREEN = params.get("screen");
/** For the public, in any language: `?words=Verbunden|Verbinde …|Nicht verbunden|Nachricht|Senden`. */
const [CONNECTED, CONNECTING, DISCONNECTED, MESSAGE, SEND] = words("Connected|Connecting …|Not connected|Message|Send");

const { compose, lastText, message, send: sendButton, stateDetail } = elements;
let failures = 0;
/** The one thing that the kiosk waits for. */
let timer = 0;
let stableTimer = 0;
let resetTimer = 0;
let error = "";
let retry = "";
/** Whether the next connection sends the text in the box. */
let isQueued = false;
let unanswered = "";

if (SCREEN) {
  prepareWith((url) => (takesParameters(url, location.host) ? withParameter(url, "screen", SCREEN) : url));
}

function words(defaults) {
  const given = params.get("words")?.split("|") ?? [];
  return defaults.split("|").map((word, n) => given[n] || word);
}

/** What main.js and compose.js tell the kiosk. */
export const kiosk = {
  start() {
    message.previousSibling.data = `${MESSAGE} `;
    sendButton.textContent = SEND;
    setInterval(probe, PROBE_MS);
    for (const type of ["input", "pointerdown"]) on(document, type, scheduleReset);
    let lastTick = Date.now();
    setInterval(() => {
      const hasSlept = Date.now() - lastTick > SLEEP_MS;
      lastTick = Date.now();
      if (hasSlept) connect();
    }, TICK_MS);
    // Not before the first attempt: a link must not connect to another server.
    const retryNow = () => !document.hidden && root.dataset.end && connect();
    on(window, "visibilitychange", retryNow);
    on(window, "pageshow", retryNow);
    on(window, "contextmenu", (event) => event.target === message || event.preventDefault());
  },

  /** Returns what the public is told in place of the state. */
  wordFor: (state) => ({ OPEN: CONNECTED, CONNECTING })[state] ?? DISCONNECTED,

  onConnecting() {
    restoreText();
    retry = failures ? `Attempt ${failures}.` : "";
    show();
    wait(ANSWER_TIMEOUT_MS, abandon);
  },

  onOpen() {
    clearTimeout(timer);
    error = retry = "";
    stableTimer = setTimeout(() => (failures = 0), STABLE_MS);
    if (isQueued) {
      isQueued = false;
      compose.requestSubmit();
    }
  },

  onMessage() {
    clearTimeout(timer);
    failures = 0;
    unanswered = "";
    scheduleReset();
  },

  /** Retries with backoff and jitter, so that many kiosks do not reconnect at once. */
  onClose(code) {
    clearTimeout(stableTimer);
    if (RESEND_CODES.includes(code)) restoreText();
    unanswered = "";
    const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    retry = `Attempt ${failures} in ${(delay / 1000).toFixed(1)} s.`;
    show();
    wait(delay, connect);
  },

  onError(text) {
    error = text;
    show();
  },

  onSent(text) {
    unanswered = text;
    wait(ANSWER_TIMEOUT_MS, abandon);
  },

  onSendFailed() {
    isQueued = true;
    setStatus("The underlying connection is closed. Your text is kept, and sent once it is open again.");
  },

  /** The connection may belong to the previous network. */
  onOnline: connect,
};

/** Puts an unanswered text back into the box, unless the visitor has begun another. */
function restoreText() {
  if (unanswered && !message.value) {
    message.value = unanswered;
    isQueued = true;
  }
  unanswered = "";
}

function wait(delay, callback) {
  clearTimeout(timer);
  timer = setTimeout(callback, delay);
}

function scheduleReset() {
  clearTimeout(resetTimer);
  if (RESET_MS > 0) resetTimer = setTimeout(reset, RESET_MS);
}

/** Removes what the last visitor has typed, sent and seen. */
function reset() {
  isQueued = false;
  message.value = unanswered = lastText.textContent = "";
  setStatus("");
}

/** Finds out whether the network still leads to the server: browsers do not tell pages about Pings. */
async function probe() {
  const url = sessionUrl();
  if (state() !== "OPEN" || url.host !== location.host) return;
  try {
    await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  } catch {
    if (state() === "OPEN" && url === sessionUrl()) abandon();
  }
}

function abandon() {
  disconnect("lost");
  error = "The server does not answer.";
  kiosk.onClose(1006);
}

function show() {
  if (state() !== "OPEN") stateDetail.textContent = `${error} ${retry}`.trim();
}
