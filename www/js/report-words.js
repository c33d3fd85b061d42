// The words of a report by the server (/report). Pure.
import { formatInteger, formatMs } from "./words.js";

/** By opcode (RFC 6455, section 11.8). */
const FRAMES = { 0: "Continuation", 1: "Text", 2: "Binary", 8: "Close", 9: "Ping", 10: "Pong" };

/** Start line and fields. */
export const formatHead = ({ line, fields }) => [line, ...fields.map(([name, value]) => `${name}: ${value}`)].join("\n");

/** How the session ended, or for how long it goes on. */
export function describeEnd({ end, age_us }) {
  return end ? `After ${formatMs(end.at_us / 1000)}: ${end.text}.` : `Open for ${formatMs(age_us / 1000)}.`;
}

/** Time since the 101, sender, kind with its bits, bytes of payload, CRC-32. */
export function describeFrame({ at_us, from, opcode, fin, rsv, masked, length, crc32 }) {
  const bits = [
    !fin && "not final", ...[4, 2, 1].map((bit, index) => rsv & bit && `RSV${index + 1}`),
    masked !== (from === "client") && (masked ? "masked" : "not masked"),
  ].filter(Boolean);
  const kind = FRAMES[opcode] ?? `Opcode ${opcode}`;
  return [
    formatMs(at_us / 1000), from, [kind, ...bits].join(", "), formatInteger(length),
    crc32.toString(16).padStart(8, "0"),
  ];
}
