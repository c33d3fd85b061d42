// Which sessions the server can record, and how it is asked to. Pure.

/** Whether the page's server, at `host`, can record a session of this URL. */
export const isRecordable = ({ host: other, pathname }, host) => other === host && /^\/(ws|echo)$/.test(pathname);

/** The URL that asks for a report. */
export function withReport(url, token) {
  const recorded = new URL(url);
  recorded.searchParams.set("report", token);
  return recorded;
}
