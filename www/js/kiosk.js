// The kiosk reconnects and resends by itself, as a visitor cannot press Connect.
import { send } from "./compose.js";
import { connect, disconnect, showDetail, state } from "./connection.js";
import { elements, isKiosk, on, setStatus } from "./page.js";

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
const REPLY_TIMEOUT_MS = 10_000;
/** A connection that lasts this long resets the retry delay. */
const STABLE_MS = 5000;
/** Timers of a hidden page run once a minute, so a longer gap means that the machine slept. */
const TICK_MS = 5000;
const SLEEP_MS = 150_000;
/** Close codes that do not blame the message, which is therefore sent again. */
const RESEND_CODES = [1001, 1006, 1012, 1013];

const { message } = elements;

const active = {
  failures: 0,
  timer: 0,
  stableTimer: 0,
  error: "",
  retry: "",
  /** Whether to send the text in the box on the next connection. */
  isQueued: false,
  /** The text that has no reply yet. */
  unanswered: "",

  onConnecting() {
    this.restoreText();
    this.retry = this.failures ? `Attempt ${this.failures}.` : "";
    this.show();
    this.setTimer(CONNECT_TIMEOUT_MS, () => this.abandon());
  },

  onOpen() {
    clearTimeout(this.timer);
    this.error = this.retry = "";
    this.stableTimer = setTimeout(() => (this.failures = 0), STABLE_MS);
    if (this.isQueued) {
      this.isQueued = false;
      send();
    }
  },

  onMessage() {
    clearTimeout(this.timer);
    this.failures = 0;
    this.unanswered = "";
  },

  onClose(code) {
    clearTimeout(this.stableTimer);
    if (RESEND_CODES.includes(code)) this.restoreText();
    this.unanswered = "";
    this.scheduleRetry();
  },

  onError(text) {
    this.error = text;
    this.show();
  },

  onSent(text) {
    this.unanswered = text;
    this.setTimer(REPLY_TIMEOUT_MS, () => this.abandon());
  },

  onSendFailed() {
    this.isQueued = true;
    setStatus("The underlying connection is closed. Your text is kept, and sent once it is open again.");
  },

  /** Reconnects: a connection that seems open may belong to the previous network. */
  onOnline() {
    connect();
  },

  /** Puts a text without a reply back into the box, unless the visitor has begun another. */
  restoreText() {
    if (this.unanswered && !message.value) {
      message.value = this.unanswered;
      this.isQueued = true;
    }
    this.unanswered = "";
  },

  /** Retries with exponential backoff and jitter, so that many kiosks do not reconnect at once. */
  scheduleRetry() {
    const longest = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
    const delay = longest * (0.5 + Math.random() / 2);
    this.failures += 1;
    this.retry = `Attempt ${this.failures} in ${(delay / 1000).toFixed(1)} s.`;
    this.show();
    this.setTimer(delay, connect);
  },

  /** Replaces the timer; the kiosk waits for one thing at a time. */
  setTimer(delay, callback) {
    clearTimeout(this.timer);
    this.timer = setTimeout(callback, delay);
  },

  /** Gives up a connection that does not answer, without a closing handshake. */
  abandon() {
    disconnect();
    this.error = "The server does not answer.";
    this.onClose(1006);
  },

  show() {
    if (state() !== "OPEN") showDetail(`${this.error} ${this.retry}`.trim());
  },

  start() {
    let lastTick = Date.now();
    setInterval(() => {
      const hasSlept = Date.now() - lastTick > SLEEP_MS;
      lastTick = Date.now();
      if (hasSlept) connect();
    }, TICK_MS);
    // A page that has become visible does not wait for its next attempt.
    const retryNow = () => !document.hidden && state() === "CLOSED" && connect();
    on(window, "visibilitychange", retryNow);
    on(window, "pageshow", retryNow);
    on(window, "contextmenu", (event) => event.target === message || event.preventDefault());
  },
};

/** Without `?kiosk`, every function does nothing. @type {typeof active} */
export const kiosk = isKiosk ? active : Object.fromEntries(Object.keys(active).map((name) => [name, () => {}]));
