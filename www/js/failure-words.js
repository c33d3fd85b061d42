// Explains why a handshake failed, from what the page can find out. Pure.
//
// An explanation has a title, which says what is wrong; text, which says where that is known from; a
// fix; and details.

/** The ports that browsers do not connect to (Fetch standard, section "Port blocking"). */
const BLOCKED_PORTS = new Set((
  "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 " +
  "135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 " +
  "995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"
).split(" "));

const LOGIN = `If the server wants a login: new WebSocket(…) sends no Authorization field. Four ways around it:
  a cookie of the server's own site (browsers may block one of another site);
  a short-lived ticket in the query of the URL;
  a subprotocol that carries the token, which the server must select;
  the token in the first message.
If the server speaks Socket.IO, SignalR, STOMP or MQTT: it needs that protocol's own client; a plain WebSocket
opens at most its transport, such as /socket.io/?EIO=4&transport=websocket.`;

/** Returns the line that checks this URL as the page would open it. */
export const checkCommand = (url, page) => `wsecho check '${url}' --origin ${page.origin}`;

/** The permission of Local Network Access that the URL needs, if its address is local. */
export const permissionName = (url) => (isLoopback(url.hostname) ? "loopback-network" : "local-network");

const isLoopback = (host) => /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(host);
const isLocal = (host) => isLoopback(host) || /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|\[f[cde])|\.local$/.test(host);

/** What is known before anything is tried: the browser itself does not open this URL. Returns undefined
 * if it would. `permission` is that of Local Network Access, if the browser has it. */
export function explainBrowser({ url, page, isOnline, isForbidden, isFramed, permission }) {
  if (!isOnline) return { title: "This device is offline." };
  if (BLOCKED_PORTS.has(url.port)) {
    return {
      title: `Browsers do not connect to port ${url.port}.`,
      text: "It is on the list of ports of other protocols that browsers block.",
      fix: "Let the server listen on another port, such as 8080, or put a proxy in front of it.",
    };
  }
  if (page.protocol === "https:" && url.protocol === "ws:" && !isLoopback(url.hostname)) {
    return {
      title: "A page that came over HTTPS cannot open a ws:// address (mixed content).",
      fix: `Open wss://${url.host}${url.pathname}${url.search}, which needs TLS at the server, or open this page over http://.`,
    };
  }
  if (isForbidden) {
    return {
      title: "The Content-Security-Policy of this page forbids this connection.",
      fix: `Add ${url.protocol}//${url.host} to connect-src in the response to ${page.pathname}.`,
    };
  }
  const isGuarded = isLoopback(url.hostname) ? !isLoopback(page.hostname) : isLocal(url.hostname) && !isLocal(page.hostname);
  if (isGuarded && permission && permission !== "granted") {
    return explainLocalNetwork({ url, page, isFramed, permission });
  }
}

/** Chrome 142 and later for HTTP, 147 and later for WebSockets. */
function explainLocalNetwork({ url, page, isFramed, permission }) {
  const name = permissionName(url);
  const grant = permission === "denied"
    ? "Allow access to the local network in the site's settings (the icon left of the address), and reload."
    : "Answer the browser's question with Allow, and connect again.";
  const fixes = [
    page.protocol === "https:" ? grant : "Serve this page over HTTPS: for other pages the browser does not ask you.",
    isFramed && `Give the iframe allow="${name}".`,
    "In a company: the policy LocalNetworkAccessAllowedForUrls allows it to a list of sites.",
  ];
  return {
    title: `The browser keeps this page from ${url.hostname}, which is on your local network or this device.`,
    text: `Local Network Access, permission ${name}: ${permission}.`,
    fix: fixes.filter(Boolean).join("\n"),
  };
}

/** Explains a failure at a server of another origin, whose response the browser hides. `probe` is what
 * a plain HTTP request to it brought: `answers`, `silent` (nothing in time) or `fails`; `otherProbe` is
 * the same over TLS if the URL is without it, and the other way round. */
export function explainForeign({ url, page, probe, otherProbe, permission }) {
  const { host } = url;
  // The browser knows the address, the page only the name.
  const hint = permission && permission !== "granted" && !isLocal(page.hostname)
    ? "\nIf it is on your local network: the browser keeps this page from it until you allow it (Local Network Access)." : "";
  const isTls = url.protocol === "wss:";
  const [http, other] = isTls ? ["https", "ws"] : ["http", "wss"];
  const otherUrl = url.href.replace(/^wss?/, other);
  const command = checkCommand(url.href, page);
  const details = LOGIN;
  if (otherProbe === "answers" && (isTls ? probe !== "answers" : true)) {
    return {
      title: isTls ? `${host} speaks plain HTTP, not TLS.` : `${host} speaks TLS.`,
      text: `A plain request to ${isTls ? "http" : "https"}://${host}, made to find out, was answered.`,
      fix: `Open ${otherUrl}`, command, details,
    };
  }
  if (probe === "answers") {
    return {
      title: `${host} answers HTTP, but refuses this handshake.`,
      text: `A plain request to ${http}://${host}, made to find out, was answered; browsers hide with what.
The usual causes: the server does not accept pages of ${page.origin} (403), has no WebSocket at ${url.pathname} (404), wants a login (401), or a proxy in front of it does not forward upgrades (400, 426).`,
      fix: `Ask for the answer where no browser hides it:\n${command}`, command, details,
    };
  }
  if (probe === "silent") {
    return {
      title: `${host} does not answer.`,
      text: `A plain request to ${http}://${host}, made to find out, was not answered in time.`,
      fix: `A firewall drops it, the address is wrong, or the server hangs. See how far it gets:\n${command}`, command, details,
    };
  }
  return {
    title: isTls ? `Nothing answers at ${host}, or its certificate is not trusted.` : `Nothing answers at ${host}.`,
    text: `A plain request to ${http}://${host}, made to find out, failed${isTls ? ", too; browsers hide how" : ", too"}.`,
    fix: (isTls
      ? `Open https://${host}/ in a tab: it shows an error of the name, of the port, or of the certificate. A self-signed certificate can be accepted there once; this page can then connect.`
      : "Correct the name or the port, start the server, or let a firewall accept the port.") + `${hint}\nThis says which it is:\n${command}`,
    command, details,
  };
}

/** Formats the parts of a diagnosis that come after the problem. */
const parts = ({ arrived, cause }) => `What arrived:\n  ${arrived.join("\n  ")}\n\nThe usual cause:\n${cause}`;

const isDiagnosis = (answer) => Array.isArray(answer?.arrived) && [answer.problem, answer.cause, answer.fix].every((part) => typeof part === "string");

/** Returns the newest refusal of a handshake for this path in the answer to /refusals that is not older
 * than `age`; undefined if there is none. */
export function findRefusal(answer, path, age) {
  const listed = parseJson(answer);
  return Array.isArray(listed) ? listed.find((refusal) => isDiagnosis(refusal) && refusal.age_ms <= age && refusal.path === path.slice(0, 256)) : undefined;
}

/** Explains a failure by what the page's own server says of the handshake. */
export function explainRefusal(url, page, refusal) {
  return {
    title: refusal.problem, text: `The server refused the handshake with ${refusal.status}.`,
    fix: refusal.fix, details: parts(refusal), command: checkCommand(url.href, page),
  };
}

function parseJson(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}

/** Explains a failure at the page's own server by its answer to a plain HTTP request, the probe. */
export function explainProbe(url, page, { failure, status, text }) {
  const command = checkCommand(url.href, page);
  if (failure) return { title: failure, command };
  const answer = parseJson(text);
  const probe = `A plain HTTP request to the same URL, made to find out, was answered with ${status || "a redirect"}.`;
  if (/[?&]bad=accept\b/.test(url.search)) {
    return {
      title: "The server answered the handshake with a wrong Sec-WebSocket-Accept, as the query asks (bad=accept).",
      text: "Browsers refuse such an answer.", fix: "Remove bad=accept from the address.", command,
    };
  }
  if (!isDiagnosis(answer)) {
    return { title: `The server answers HTTP, but opens no WebSocket: ${status || "a redirect"}.`, text: probe, fix: `See its answer to a handshake:\n${command}`, command, details: text };
  }
  if (status !== 426) return { title: answer.problem, text: probe, fix: answer.fix, details: parts(answer), command };
  return {
    title: "The server is reachable, but has refused no handshake of this browser.",
    text: `${probe} That is the right answer to a request that is no handshake. So the handshake did not arrive, or its answer did not get back: something in between does not forward upgrades.`,
    fix: answer.fix, command,
    details: `The server's answer to the probe:\n\n${answer.problem}\n\n${parts(answer)}`,
  };
}
