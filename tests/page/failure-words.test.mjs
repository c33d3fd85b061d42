// The explanations of failed handshakes: node --test tests/page/*.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";
import { explainBrowser, explainForeign, explainProbe, explainRefusal, findRefusal } from "../../www/js/failure-words.js";

const http = new URL("http://page.test/x");
const https = new URL("https://page.test/x");
const browser = (url, more = {}) => explainBrowser({ url: new URL(url), page: http, isOnline: true, ...more });

test("what only a browser refuses is known before anything is tried", () => {
  for (const [facts, title, fix] of [
    [browser("ws://h/", { isOnline: false }), /offline/, /undefined/],
    [browser("ws://h:6000/"), /do not connect to port 6000/, /another port/],
    [browser("ws://h/a?b", { page: https }), /mixed content/, /wss:\/\/h\/a\?b/],
    [browser("wss://h/", { isForbidden: true }), /Content-Security-Policy/, /wss:\/\/h to connect-src/],
    [browser("ws://192.168.1.1/", { permission: "prompt", isFramed: true }), /local network/, /over HTTPS[^]*allow="local-network"[^]*LocalNetworkAccessAllowedForUrls/],
    [browser("ws://localhost/", { permission: "denied", page: https }), /local network/, /^Allow access.*\n.*LocalNetworkAccessAllowedForUrls/],
  ]) {
    assert.match(facts.title, title);
    assert.match(String(facts.fix), fix);
  }
  assert.match(browser("ws://[::1]/", { permission: "prompt" }).text, /loopback-network: prompt/);
  const page = new URL("http://192.168.1.2/");
  assert.match(browser("ws://127.0.0.1/", { permission: "prompt", page }).title, /on your local network or this device/);
});

test("what a browser lets through is left to the probe", () => {
  for (const facts of [
    browser("ws://h:8080/"), browser("ws://localhost/", { page: https }), browser("wss://h/", { permission: "prompt" }),
    browser("ws://localhost/", { permission: "granted" }),
    browser("ws://10.0.0.1/", { permission: "prompt", page: new URL("http://192.168.1.2/") }),
    browser("ws://127.0.0.1/", { permission: "prompt", page: new URL("http://localhost/") }),
  ]) assert.equal(facts, undefined);
});

test("a foreign server is explained by what it answers over HTTP", () => {
  const foreign = (url, probe, otherProbe) => explainForeign({ url: new URL(url), page: http, probe, otherProbe });
  for (const [facts, title, fix] of [
    [foreign("ws://h:1/p?q", "answers", "fails"), /answers HTTP, but refuses/, /wsecho check 'ws:\/\/h:1\/p\?q' --origin http:\/\/page\.test/],
    [foreign("ws://h/", "answers", "answers"), /h speaks TLS/, /wss:\/\/h\//],
    [foreign("ws://h/", "fails", "answers"), /h speaks TLS/, /wss:\/\/h\//],
    [foreign("ws://h/", "fails", "fails"), /Nothing answers at h\.$/, /name or the port/],
    [foreign("ws://h/", "silent", "silent"), /does not answer/, /firewall/],
    [foreign("wss://h/", "answers", "answers"), /answers HTTP, but refuses/, /wsecho check/],
    [foreign("wss://h:1/", "fails", "answers"), /h:1 speaks plain HTTP/, /Open ws:\/\/h:1\//],
    [foreign("wss://h/", "fails", "fails"), /certificate is not trusted/, /Open https:\/\/h\/ in a tab/],
  ]) {
    assert.match(facts.title, title);
    assert.match(facts.fix, fix);
    assert.match(facts.command, /^wsecho check /);
    assert.match(facts.details, /no Authorization/);
  }
});

test("a name may be that of a local address, which the page cannot know", () => {
  const facts = { url: new URL("ws://nas.example/"), page: https, probe: "fails", otherProbe: "fails" };
  assert.match(explainForeign({ ...facts, permission: "prompt" }).fix, /Local Network Access/);
  assert.doesNotMatch(explainForeign({ ...facts, permission: "granted" }).fix, /Local Network Access/);
});

test("the newest refusal of this handshake is found", () => {
  const refusal = (age_ms, path, problem) => ({ age_ms, path, status: 403, problem, arrived: ["GET /ws"], cause: "c", fix: "f" });
  const answer = JSON.stringify([refusal(5, "/echo", "other"), refusal(10, "/ws", "new"), refusal(20, "/ws", "old")]);
  assert.equal(findRefusal(answer, "/ws", 15)?.problem, "new");
  for (const [text, path, age] of [[answer, "/ws", 9], [answer, "/chat", 99], ["[]", "/ws", 9], ["{}", "/ws", 9], ["", "/ws", 9], ["[null]", "/ws", 9]]) {
    assert.equal(findRefusal(text, path, age), undefined);
  }
  const facts = explainRefusal(new URL("ws://page.test/ws"), http, refusal(5, "/ws", "Wrong origin."));
  assert.equal(facts.title, "Wrong origin.");
  assert.match(facts.text, /The server refused the handshake with 403/);
});

test("the probe of this server is called a probe", () => {
  const answer = { status: 404, problem: "Nothing is here.", arrived: ["GET /x", "Host: h"], cause: "A typing error.", fix: "Correct it." };
  const probe = (url, status, text) => explainProbe(new URL(url), http, { status, text });
  const refused = probe("ws://page.test/x", 404, JSON.stringify(answer));
  assert.equal(refused.title, "Nothing is here.");
  assert.equal(refused.fix, "Correct it.");
  assert.match(refused.text, /plain HTTP request to the same URL, made to find out, was answered with 404/);
  assert.equal(refused.details, "What arrived:\n  GET /x\n  Host: h\n\nThe usual cause:\nA typing error.");
  const dropped = probe("ws://page.test/x", 426, JSON.stringify(answer));
  assert.match(dropped.title, /refused no handshake of this browser/);
  assert.match(dropped.details, /^The server's answer to the probe:\n\nNothing is here/);
  const foreign = probe("ws://page.test/x", 502, "<h1>Bad Gateway");
  assert.match(foreign.title, /opens no WebSocket: 502/);
  assert.equal(foreign.details, "<h1>Bad Gateway");
  assert.match(probe("ws://page.test/ws?bad=accept", 426, "").fix, /Remove bad=accept/);
  assert.equal(explainProbe(http, http, { failure: "The server cannot be reached.", text: "" }).title, "The server cannot be reached.");
});
