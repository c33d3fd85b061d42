// The page's pure functions, without a browser: node --test tests/page/*.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEvent } from "../../www/js/chat-events.js";
import * as forms from "../../www/js/message-forms.js";
import * as words from "../../www/js/words.js";

/** Asserts `[arguments, expected result]` of each row. */
function table(call, ...rows) {
  for (const [given, expected] of rows) assert.deepEqual(call(...given), expected, JSON.stringify(given));
}

const bytes = (...values) => Uint8Array.from(values);
const entry = (data, more = {}) => ({ from: "received", at: 0, data, size: data.length, view: "text", ...more });

test("sizes are in binary units with one digit", () => {
  table(words.formatBytes,
    [[0], "0 B"], [[1023], "1023 B"], [[1024], "1.0 KiB"], [[1536], "1.5 KiB"],
    [[1024 ** 2 - 1], "1024.0 KiB"], [[1024 ** 2], "1.0 MiB"], [[1024 ** 5], "1024.0 TiB"]);
});

test("milliseconds have a digit below 100, and a comma above 999", () => {
  table(words.formatMs,
    [[undefined], "–"], [[0], "0.0 ms"], [[0.04], "0.0 ms"], [[99.94], "99.9 ms"], [[100], "100 ms"],
    [[1234.5], "1,235 ms"]);
});

test("a ratio needs bytes on the wire", () => {
  table(words.formatRatio, [[{ bytes: 100, on_the_wire: 40 }], "2.5 : 1"], [[{ bytes: 0, on_the_wire: 4 }], "0.0 : 1"],
    [[{ bytes: 0, on_the_wire: 0 }], "–"]);
});

test("a quantile is one of the numbers", () => {
  table(words.quantile,
    [[[], 0.5], undefined], [[[7], 0.99], 7], [[[1, 2, 3, 4], 0.5], 2], [[[1, 2, 3], 0.5], 2], [[[1, 2], 0], 1],
    [[Array.from({ length: 100 }, (_, n) => n + 1), 0.99], 99]);
});

test("the length of a text is that of its UTF-8", () => {
  table(words.byteLength, [[""], 0], [["Grüße"], 7], [["😀"], 4], [[bytes(1, 2)], 2]);
});

test("hexadecimal input may be separated and prefixed", () => {
  table(words.parseHex,
    [[""], bytes()], [["48 65"], bytes(0x48, 0x65)], [["4865"], bytes(0x48, 0x65)],
    [["0x48, 0X65"], bytes(0x48, 0x65)], [["fF:00;\n7f"], bytes(255, 0, 127)]);
  assert.throws(() => words.parseHex("4"), /two digits/);
  assert.throws(() => words.parseHex("00 ff 4"), /two digits/);
  assert.throws(() => words.parseHex("xy"), /in hexadecimal/);
  assert.throws(() => words.parseHex("-1"), /in hexadecimal/);
});

test("base64 input has either alphabet, padded or not", () => {
  table(words.parseBase64, [[""], bytes()], [["SGVsbG8="], bytes(72, 101, 108, 108, 111)], [["-_8"], bytes(251, 255)], [[" +/ 8=\n"], bytes(251, 255)]);
  for (const text of ["a", "ü", "===="]) assert.throws(() => words.parseBase64(text), /in Base64/, text);
  table(words.parseMessage, [["48", "text"], "48"], [["48", "hex"], bytes(0x48)], [["SA", "base64"], bytes(0x48)]);
});

test("characters that cannot be seen are split off, but no line breaks and no joiners", () => {
  table(words.splitInvisible,
    [["a\nb\tü\u200d"], ["a\nb\tü\u200d"]],
    [["a\u202ee\0"], ["a", "\u202e", "e", "\0", ""]],
    [["\ufeff\u{e0041}"], ["", "\ufeff", "", "\u{e0041}", ""]]);
  table(words.codePoint, [["\0"], "U+0000"], [["\u202e"], "U+202E"], [["\u{e0041}"], "U+E0041"]);
});

test("the direction is that of the first letter", () => {
  table(words.isRightToLeft, [[""], false], [["a שלום"], false], [["(1) שלום a"], true], [["«سلام"], true], [["123"], false]);
});

test("a hex dump has offset, bytes and ASCII, and stops after 512 bytes", () => {
  table(words.hexDump,
    [[bytes()], ""],
    [[bytes(0x48, 0x1f, 0x20, 0x7e, 0x7f, 0x80)], "0000  48 1f 20 7e 7f 80        H· ~··"],
    [[new TextEncoder().encode("123456789")], "0000  31 32 33 34 35 36 37 38  12345678\n0008  39                       9"]);
  const whole = words.hexDump(new Uint8Array(512)).split("\n");
  assert.equal(whole.length, 64);
  assert.match(whole[63], /^01f8 {2}00 /);
  const more = words.hexDump(new Uint8Array(1513)).split("\n");
  assert.equal(more.length, 65);
  assert.equal(more[64], "… 1,001 more bytes; Copy and Save include them.");
});

test("a long text is truncated, which is said", () => {
  assert.equal(words.truncate("x".repeat(2000)), "x".repeat(2000));
  assert.equal(words.truncate("x".repeat(2001)), "x".repeat(2000) + "\n… 1 more characters; Copy and Save include them.");
});

test("a row shows its message as text, hex or JSON", () => {
  table(words.rowText,
    [[entry("")], "(empty)"],
    [[entry("", { from: "event" })], ""],
    [[entry("{}", { name: "ann", displayText: "a" })], "a"],
    [[entry("Hi", { view: "base64" })], "SGk="],
    [[entry(bytes(0xc3, 0xbc))], "ü"],
    [[entry("ü", { view: "hex" })], "0000  c3 bc                    ··"],
    [[entry(bytes(0x48), { view: "hex" })], "0000  48                       H"],
    [[entry('{"a":[1]}', { view: "json" })], '{\n  "a": [\n    1\n  ]\n}']);
});

test("copying takes the whole message", () => {
  const long = "x".repeat(3000);
  table(forms.copyText,
    [[entry(long)], long],
    [[entry("{}", { name: "ann", displayText: "hi" })], "ann: hi"], [[entry("Hi", { view: "base64" })], "SGk="],
    [[entry("{}", { name: "ann", displayText: "hi", view: "json" })], "{}"],
    [[entry(bytes(0, 255), { view: "hex" })], "00ff"],
    [[entry(bytes(0x48), { view: "text" })], "H"]);
});

test("a saved line is JSON, with bytes in Base64", () => {
  const line = (data) => JSON.parse(forms.jsonLine(entry(data)));
  assert.deepEqual(line("a\nb"), { time: "1970-01-01T00:00:00.000Z", from: "received", size: 3, text: "a\nb" });
  assert.equal(line(bytes(0, 255)).base64, "AP8=");
  const large = Uint8Array.from({ length: 20_000 }, (_, n) => n);
  assert.deepEqual(Buffer.from(line(large).base64, "base64"), Buffer.from(large));
  assert.match(forms.jsonLine(entry("a")), /^[^\n]+\n$/);
});

test("only arrays and objects are shown as JSON", () => {
  table((data, more) => forms.isJson(entry(data, more)),
    [["{}"], true], [[" \n[1]"], true], [[bytes(0x5b, 0x5d)], true], [["1"], false], [["{"], false], [["text"], false],
    [["{}", { from: "event" }], false]);
});

test("close codes have the registry's names, or those of their range", () => {
  const name = (code) => words.closeCode(code)[0];
  table(name,
    [[999], "Unassigned"], [[1000], "Normal Closure"], [[1004], "Unassigned"], [[1006], "Abnormal Closure"],
    [[2999], "Unassigned"], [[3000], "Unauthorized"], [[3001], "Registered Code"], [[4000], "Private Use"],
    [[4999], "Private Use"], [[5000], "Unassigned"]);
  for (let code = 1000; code < 1016; code += 1) assert.ok(words.closeCode(code)[1].length > 10, code);
});

test("a close is described by which end closed, and how", () => {
  const open = { wasOpen: true, isStopped: false };
  const stopped = { wasOpen: true, isStopped: true };
  table((code, reason, connection) => words.describeClose({ code, reason }, connection),
    [[1001, "bye \"you\"", open], 'by the server: 1001 Going Away "bye \\"you\\""'],
    [[1000, "", open], 'by the server: 1000 Normal Closure ""'],
    [[1005, "", open], "by the server without a code"],
    [[1000, "", stopped], 'by the client: 1000 Normal Closure ""'],
    [[1005, "", stopped], 'by the client: 1000 Normal Closure ""'],
    [[4000, "x", stopped], 'by the server: 4000 Private Use "x"'],
    [[1006, "", open], "with 1006 Abnormal Closure: the connection ended without a closing handshake; browsers do not report by which end, or how"],
    [[1006, "", { wasOpen: false, isStopped: true }], "by the client before it was open"]);
});

test("a code is explained unless the description does", () => {
  table(words.explainCode, [[1005], ""], [[1006], ""], [[4000], " Meaning: defined by the application."]);
});

test("totals are formatted like the server's", () => {
  const totals = { sent: 1, sentBytes: 7, received: 2, receivedBytes: 1000 };
  assert.equal(words.formatTotals(totals, 1236), "sent 1 (7 bytes), received 2 (1000 bytes), 1.236 s");
});

test("only valid events are parsed", () => {
  for (const event of [
    { type: "welcome", room: "r", name: "n", seq: 1 },
    { type: "join", name: "n", at: "now" },
    { type: "leave", name: "n", at: "now", more: 1 },
    { type: "message", from: "n", text: "", at: "now", seq: 0 },
  ]) {
    assert.deepEqual(parseEvent(JSON.stringify(event)), event);
    for (const key of Object.keys(event).filter((key) => key !== "more")) {
      assert.equal(parseEvent(JSON.stringify({ ...event, [key]: null })), undefined, `${event.type} without ${key}`);
    }
  }
  for (const text of ["", "no JSON", "null", "1", "[]", "{}", '{"type":"constructor"}', '{"type":"__proto__"}', '{"type":["join"],"name":"n","at":"now"}']) {
    assert.equal(parseEvent(text), undefined, text);
  }
});
