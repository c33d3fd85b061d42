// What a typed address means: node --test tests/page/*.test.mjs

import assert from "node:assert/strict";
import { test } from "node:test";
import { isRoom, linkQuery, parseAddress, roomAddress, takesParameters, withParameter } from "../../www/js/address.js";

/** Asserts `[arguments, expected result]` of each row. */
function table(call, ...rows) {
  for (const [given, expected] of rows) assert.deepEqual(call(...given), expected, JSON.stringify(given));
}

const parsed = (text, base = "http://h:1/?chat") => parseAddress(text, base).href;

test("an address is a URL, or a path of this server", () => {
  table(parsed,
    [[""], "ws://h:1/ws"], [[" "], "ws://h:1/ws"], [[" /ws?x=1#y "], "ws://h:1/ws?x=1"],
    [["/ws", "https://h/"], "wss://h/ws"], [["echo"], "ws://h:1/echo"], [["echo?a=1"], "ws://h:1/echo?a=1"],
    [["https://other/x"], "wss://other/x"], [["ws://other"], "ws://other/"], [["WSS://h:1/echo"], "wss://h:1/echo"]);
});

test("without a scheme, an address means what it means to wsecho check", () => {
  table(parsed,
    [["localhost:8080/echo"], "ws://localhost:8080/echo"], [["localhost/echo"], "ws://localhost/echo"],
    [[":8080/ws?a:b"], "ws://localhost:8080/ws?a:b"], [["8080"], "ws://localhost:8080/"],
    [["127.0.0.1"], "ws://127.0.0.1/"], [["[::1]:8080/"], "ws://[::1]:8080/"],
    [["example.com/ws"], "wss://example.com/ws"], [["example.com:80/ws"], "ws://example.com/ws"],
    [["example.com:443"], "wss://example.com/"], [["EXAMPLE.com"], "wss://example.com/"]);
});

test("the host of this page has the scheme of this page", () => {
  table(parsed,
    [["echo.test/ws", "http://echo.test/"], "ws://echo.test/ws"],
    [["echo.test:8443/ws", "https://echo.test:8443/"], "wss://echo.test:8443/ws"]);
});

test("an invalid address is refused with the reason", () => {
  for (const [text, expected] of [
    ["ws://", /no address/], ["ws://h o/", /no address/], ["ws://[::g]/", /no address/],
    ["127.0.0.1:99999/ws", /“:99999” is not a port, from :1 to :65535/], ["ws://h:0/", /“:0” is not a port/],
    ["ws://h:x/", /“:x” is not a port/], ["mailto:x", /“:x” is not a port/],
    ["ftp://h/", /ftp:\/\/ is no WebSocket/], ["ws://ann:secret@h/", /no name and password/],
  ]) assert.throws(() => parsed(text), expected, text);
});

test("a room is addressed on the server of the address, or on this one", () => {
  const room = (address, fields) => roomAddress(address && new URL(address), "https://h/?chat", fields);
  table(room,
    [[undefined, { room: "", name: " " }], "wss://h/chat"],
    [["ws://other/ws", { room: "a & b", name: " ann " }], "wss://h/chat?room=a+%26+b&name=ann"],
    [["ws://other/x/chat?room=old&room=er&z=1", { room: "r", name: "" }], "ws://other/x/chat?z=1&room=r"]);
  const url = new URL("ws://other/chat?room=old");
  roomAddress(url, "http://h/", { room: "new" });
  assert.equal(url.search, "?room=old", "the argument stays");
  table((url) => Boolean(isRoom(url)), [[undefined], false], [[url], true], [[new URL("ws://h/chats")], false]);
});

test("a link reproduces the form, and keeps a scheme that is not the page's", () => {
  const link = (url, isChat, subprotocols, ...texts) => linkQuery(new URL(url), "http://h/?x", isChat, subprotocols, texts);
  table(link,
    [["ws://h/ws", false, ""], ""],
    [["ws://h/ws?x=1", false, " a, b ", "1 & 2", "3"], "?url=%2Fws%3Fx%3D1&subprotocols=a%2C+b&send=1+%26+2&send=3"],
    [["ws://other/ws", false, ""], "?url=ws%3A%2F%2Fother%2Fws"],
    [["wss://h/echo", false, ""], "?url=wss%3A%2F%2Fh%2Fecho"],
    [["ws://h/echo", false, "", "x".repeat(500)], `?url=%2Fecho&send=${"x".repeat(500)}`],
    [["ws://h/echo", false, "", "x".repeat(501), ""], "?url=%2Fecho"],
    [["ws://h/chat", true, ""], "?chat"],
    [["ws://h/chat?room=a&name=b", true, ""], "?chat&room=a&name=b"],
    [["ws://h/chats?room=a", true, ""], "?chat&url=%2Fchats%3Froom%3Da"],
    [["ws://other/chat?room=a", true, ""], "?chat&url=ws%3A%2F%2Fother%2Fchat%3Froom%3Da"]);
});

test("parameters are added at the page's own server, where it takes them", () => {
  for (const [address, expected] of [
    ["ws://h/ws", true], ["ws://h/echo?delay=1s", true], ["ws://h/chat", false], ["ws://h:81/ws", false], ["ws://h/", false],
  ]) assert.equal(takesParameters(new URL(address), "h"), expected, address);
  assert.equal(withParameter(new URL("ws://h/ws?delay=1s&report=old"), "report", "new").href, "ws://h/ws?delay=1s&report=new");
});
