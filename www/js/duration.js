// Parses counts and intervals as people type them. Pure.

const UNITS = { "": 1, ms: 1, s: 1000, min: 60_000 };
/** A day: a timer of a browser waits 24 days at most. */
const MAX_INTERVAL_MS = 86_400_000;

/** Parses how often; empty means without end. Throws an error to show. */
export function parseCount(text) {
  const typed = text.trim();
  if (!/^\d*$/.test(typed) || Number(typed) !== Math.min(Number(typed), Number.MAX_SAFE_INTEGER) || /^0+$/.test(typed)) {
    throw new Error(`“${typed}” is not a number of times. Write one such as 10, or none to repeat until you stop.`);
  }
  return typed ? Number(typed) : Infinity;
}

/** Parses an interval such as 250, 250ms or 1.5 s; returns milliseconds. Throws an error to show. */
export function parseInterval(text) {
  const [, number, unit] = text.trim().match(/^(\d+(?:\.\d+)?)\s*(ms|s|min|)$/i) ?? [];
  const interval = Number(number) * UNITS[unit?.toLowerCase()];
  if (!(interval <= MAX_INTERVAL_MS)) {
    throw new Error(`“${text.trim()}” is not an interval of a day at most. Write one such as 250ms, 1s or 0.`);
  }
  return interval;
}
