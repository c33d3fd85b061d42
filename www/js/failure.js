// Finds out why a handshake failed, which browsers hide from pages.
import { explainBrowser, explainForeign, explainProbe, explainRefusal, findRefusal } from "./failure-words.js";
import { fetchText } from "./http.js";
import { on } from "./page.js";

const TIMEOUT_MS = 5000;

/** Hosts that the policy of the page forbids. */
const forbidden = new Set();

/** Returns an explanation; see failure-words.js. `since`: when the handshake began. */
export async function explain(url, since) {
  const page = location;
  const isForeign = url.origin.replace(/^ws/, "http") !== page.origin;
  const refused = isForeign && explainBrowser({
    url, page, isOnline: navigator.onLine, isForbidden: forbidden.has(url.host), isFramed: window !== top,
    permission: await localNetworkPermission(),
  });
  if (refused) return refused;
  if (isForeign) return explainForeign({ url, page, ...await probeForeign(url) });
  const told = await fetchText("/refusals", "application/json");
  const refusal = findRefusal(told.text, url.pathname, performance.now() - since);
  if (refusal) return explainRefusal(url, page, refusal);
  return explainProbe(url, page, await fetchText(url.href.replace(/^ws/, "http"), "application/json"));
}

/** Returns the state of Chrome's Local Network Access, under one of the names it has had; undefined
 * in other browsers. */
async function localNetworkPermission() {
  for (const name of ["loopback-network", "local-network", "local-network-access"]) {
    try { return (await navigator.permissions.query({ name })).state; } catch { /* An unknown name. */ }
  }
}

/** Requests the URL over HTTP, and with the other scheme. */
async function probeForeign(url) {
  const http = url.href.replace(/^ws/, "http");
  const other = /^https/.test(http) ? http.replace("https", "http") : http.replace("http", "https");
  const [probe, otherProbe] = await Promise.all([http, other].map(request));
  return { probe, otherProbe };
}

/** The response itself stays hidden (`no-cors`); that there is one does not. */
async function request(url) {
  try {
    await fetch(url, { mode: "no-cors", cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(TIMEOUT_MS) });
    return "answers";
  } catch (error) {
    return error.name === "TimeoutError" ? "silent" : "fails";
  }
}

on(document, "securitypolicyviolation", ({ blockedURI }) => {
  try { forbidden.add(new URL(blockedURI).host); } catch { /* Such as `inline`. */ }
});
