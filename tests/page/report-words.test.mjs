// The words of the server's report, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeEnd, describeFrame, formatHead } from "../../www/js/report-words.js";

const frame = { at_us: 12_340, from: "client", opcode: 1, fin: true, rsv: 0, masked: true, length: 1234, crc32: 255 };

test("a frame is described by its kind, and the bits that are not usual", () => {
  for (const [changes, kind] of [
    [{}, "Text"],
    [{ fin: false, rsv: 4 }, "Text, not final, RSV1"],
    [{ opcode: 0 }, "Continuation"],
    [{ opcode: 11, rsv: 3 }, "Opcode 11, RSV2, RSV3"],
    [{ masked: false }, "Text, not masked"],
    [{ from: "server", masked: false }, "Text"],
    [{ from: "server" }, "Text, masked"],
  ]) {
    const { from } = { ...frame, ...changes };
    assert.deepEqual(describeFrame({ ...frame, ...changes }), ["12.3 ms", from, kind, "1,234", "000000ff"]);
  }
});

test("the end is told in the server's words", () => {
  assert.equal(describeEnd({ age_us: 1_500_000, end: null }), "Open for 1,500 ms.");
  const end = { at_us: 20_000, text: "reset by the client: RST, no Close" };
  assert.equal(describeEnd({ age_us: 1, end }), "After 20.0 ms: reset by the client: RST, no Close.");
});

test("a head is shown as on the wire", () => {
  assert.equal(formatHead({ line: "GET / HTTP/1.1", fields: [["A", "b: c"], ["D", ""]] }), "GET / HTTP/1.1\nA: b: c\nD: ");
});
