// Finds out why a handshake failed, which browsers hide from pages.
import { explainBrowser, explainForeign, explainProbe, explainRefusal, findRefusal, permissionName } from "./failure-words.js";
import { fetchText } from "./http.js";

const TIMEOUT_MS = 5000;

/** Returns an explanation; see failure-words.js. `since`: when the handshake began; `forbidden`: the hosts
 * that the policy of the page forbids. */
export async function explain(url, since, forbidden) {
  const page = location;
  const isForeign = url.origin.replace(/^ws/, "http") !== page.origin;
  if (isForeign) return explainElsewhere(url, forbidden);
  const told = await fetchText("/refusals", "application/json");
  const refusal = findRefusal(told.text, url.pathname, performance.now() - since);
  if (refusal) return explainRefusal(url, page, refusal);
  return explainProbe(url, page, await fetchText(url.href.replace(/^ws/, "http"), "application/json"));
}

async function explainElsewhere(url, forbidden) {
  const permission = await localNetworkPermission(url);
  const facts = {
    url, page: location, isOnline: navigator.onLine, isForbidden: forbidden.has(url.host), isFramed: window !== top, permission,
  };
  return explainBrowser(facts) ?? explainForeign({ ...facts, ...await probeForeign(url) });
}

/** Returns the state of Chrome's Local Network Access, which had one name before; undefined in other
 * browsers. */
async function localNetworkPermission(url) {
  for (const name of [permissionName(url), "local-network-access"]) {
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
