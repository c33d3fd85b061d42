// What a typed address means, and the link to this form. Pure.

export const DEFAULT_PATH = "/ws";
const MAX_LINK_TEXT = 500;
const FORM = "Write ws://HOST:PORT/PATH or wss://…, or a path of this server, such as /echo.";

/** Parses a URL, or a path on `base`. An address without a scheme means what it means to
 * `wsecho check`. Throws an error to show. */
export function parseAddress(typed, base) {
  const url = toUrl(complete(typed.trim() || DEFAULT_PATH, new URL(base)), base);
  url.protocol = url.protocol.replace(/^http/, "ws");
  url.hash = "";
  if (!/^wss?:/.test(url.protocol)) throw new Error(`${url.protocol}// is no WebSocket. ${FORM}`);
  if (url.username || url.password) throw new Error("Browsers send no name and password from a WebSocket URL; remove them. wsecho check sends them.");
  return url;
}

function toUrl(text, base) {
  const authority = text.match(/^[a-z]+:\/\/([^/?#]*)/i)?.[1] ?? "";
  const port = authority.replace(/^.*@/, "").replace(/^\[[^\]]*\]/, "").match(/:.+$/)?.[0];
  if (port && !(/^:\d+$/.test(port) && port.slice(1) > 0 && port.slice(1) < 65536)) {
    throw new Error(`“${port}” is not a port, from :1 to :65535.`);
  }
  try { return new URL(text, base); } catch { throw new Error(`“${text}” is no address. ${FORM}`); }
}

/** Adds the scheme, and localhost to a port alone. A word alone is a path. */
function complete(text, base) {
  if (/^([a-z][a-z\d+.-]*:\/\/|[/?#])/i.test(text)) return text;
  const [authority] = text.match(/^[^/?#]*/);
  if (!/[.:\d\]]|^localhost$/i.test(authority)) return `/${text}`;
  if (/^:?\d+$/.test(authority)) return `ws://localhost:${text.replace(":", "")}`;
  return `${isSecure(authority, base) ? "wss" : "ws"}://${text}`;
}

/** Returns whether an address without a scheme speaks TLS: like this page if it is its server's, else if
 * it has the port 443, or none and a name with a dot. */
function isSecure(authority, base) {
  if (authority === base.host) return base.protocol === "https:";
  const port = authority.match(/:(\d+)$/)?.[1];
  return port ? port === "443" : /\./.test(authority) && !/^[\d.]+$|\]$/.test(authority);
}

export const isRoom = (url) => url?.pathname.endsWith("/chat");

/** Returns the address of a room on the server of `url` if that is a chat, else of `base`. */
export function roomAddress(url, base, fields) {
  const room = isRoom(url) ? new URL(url) : parseAddress("/chat", base);
  for (const [name, value] of Object.entries(fields)) {
    room.searchParams.delete(name);
    if (value.trim()) room.searchParams.append(name, value.trim());
  }
  return room.href;
}

/** Returns the query that makes the page at `base` fill in the form, and show `texts` to send. */
export function linkQuery(url, base, isChat, subprotocols, texts) {
  const query = new URLSearchParams(isChat ? "chat" : "");
  const isHere = url.origin === parseAddress("/", base).origin;
  const path = isHere ? url.pathname + url.search : url.href;
  if (isChat && /^\/chat(\?|$)/.test(path)) url.searchParams.forEach((value, key) => query.set(key, value));
  else if (path !== DEFAULT_PATH) query.set("url", path);
  if (subprotocols.trim()) query.set("subprotocols", subprotocols.trim());
  for (const text of texts) if (text && text.length <= MAX_LINK_TEXT) query.append("send", text);
  return query.size ? `?${query}`.replace("?chat=", "?chat") : "";
}

/** Whether the page's server, at `host`, takes query parameters for a session of this URL. */
export const takesParameters = ({ host: other, pathname }, host) => other === host && /^\/(ws|echo)$/.test(pathname);

/** The URL with this parameter. */
export function withParameter(url, name, value) {
  const changed = new URL(url);
  changed.searchParams.set(name, value);
  return changed;
}
