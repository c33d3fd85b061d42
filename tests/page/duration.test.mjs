// How often and how fast a message is repeated: node --test tests/page/*.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCount, parseInterval } from "../../www/js/duration.js";

test("a count is a whole number, or without end", () => {
  for (const [text, expected] of [["", Infinity], [" 3 ", 3], ["100000", 100_000]]) assert.equal(parseCount(text), expected, text);
  for (const text of ["abc", "-1", "1.5", "1e3", "0", "00", "9".repeat(20)]) assert.throws(() => parseCount(text), /is not a number of times/, text);
});

test("an interval is in milliseconds, or has a unit", () => {
  for (const [text, expected] of [
    ["1000", 1000], ["0", 0], ["250ms", 250], ["1s", 1000], [" 1.5 S ", 1500], ["2 min", 120_000], ["86400s", 86_400_000],
  ]) assert.equal(parseInterval(text), expected, text);
  for (const text of ["", "every 1s", "abc", "-1", "1h", "1e3", "s", "86401s"]) {
    assert.throws(() => parseInterval(text), /is not an interval/, text);
  }
});
