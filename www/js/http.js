// Requests over HTTP, on demand.

const TIMEOUT_MS = 5000;

/** Returns status and text of a response, or why there is none. The Referer stands for the Origin. */
export async function fetchText(url, accept = "text/plain") {
  try {
    const response = await fetch(url, {
      cache: "no-store", headers: { Accept: accept }, redirect: "manual", referrerPolicy: "origin",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const isText = /^(text\/plain|application\/json)/.test(response.headers.get("Content-Type"));
    return { status: response.status, text: isText ? await response.text() : "" };
  } catch {
    return { failure: navigator.onLine ? "The server cannot be reached." : "This device is offline.", text: "" };
  }
}
