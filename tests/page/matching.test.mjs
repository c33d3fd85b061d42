// The filter of the history, and the programs to copy: node --test tests/page/*.test.mjs

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { matcher } from "../../www/js/matching.js";
import { snippets } from "../../www/js/snippets.js";

const entry = (from, data, more = {}) => ({ from, data, ...more });
const ENTRIES = [
  entry("event", "Connection Opened"), entry("sent", "Hello"), entry("received", "hello"),
  entry("received", Uint8Array.from([104, 101])), entry("received", "{}", { name: "ann", displayText: "hi" }),
];

test("a filter goes by kind and by text", () => {
  for (const [text, kind, expected] of [
    ["hello", "all", [1, 2]], ["HE", "all", [1, 2, 3]], ["", "sent", [1]], ["", "received", [2, 3, 4]], ["", "event", [0]],
    ["", "text", [1, 2, 4]], ["", "binary", [3]], ["ann", "all", [4]], ["hi", "received", [4]], ["nothing", "all", []],
    ["hello", "event", []],
  ]) {
    const found = ENTRIES.map((_, n) => n).filter((n) => matcher(text, kind)(ENTRIES[n]));
    assert.deepEqual(found, expected, `${text} ${kind}`);
  }
  assert.equal(matcher("", "all"), null);
});

test("the programs to copy quote what is typed", () => {
  const [script, node, python, websocat, check] = snippets("ws://h/a?b='", ["x", "y"], "it's \"$HOME\"", "http://o").map(([, code]) => code);
  assert.match(script, /^const socket = new WebSocket\("ws:\/\/h\/a\?b='", \["x","y"\]\);$/m);
  assert.doesNotThrow(() => new Function(script));
  assert.match(node, /socket\.send\("it's \\"\$HOME\\""\)/);
  assert.match(python, /^with connect\("ws:\/\/h\/a\?b='", subprotocols=\["x","y"\]\) as socket:$/m);
  const shell = (line) => spawnSync("sh", ["-c", line.replace(/.*(websocat|wsecho) /, "printf '<%s>' ")], { encoding: "utf8" }).stdout;
  assert.equal(shell(websocat), "<--protocol><x><--protocol><y><ws://h/a?b='>");
  assert.equal(shell(check), "<check><ws://h/a?b='><--message><it's \"$HOME\"><--subprotocol><x><--subprotocol><y><--origin><http://o>");
  assert.match(snippets("ws://h/", [], "a", "http://o")[0][1], /new WebSocket\("ws:\/\/h\/"\);/);
});
