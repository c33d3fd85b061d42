// Plots the last round trips.
import { elements } from "./page.js";
import { formatMs } from "./words.js";

/** With fewer round trips, the bars do not grow wider. */
const MIN_SLOTS = 25;

const { plot, plotBars, plotMedian, plotScale } = elements;

/** Draws a bar for each round trip, the newest on the right, and the median. */
export function draw(roundTrips, middle, longest) {
  const height = (ms) => 40 * (1 - ms / (longest || 1));
  const slot = 100 / Math.max(MIN_SLOTS, roundTrips.length);
  const left = (n) => (100 - (roundTrips.length - n - 0.5) * slot).toFixed(2);
  const path = roundTrips.map((ms, n) => `M${left(n)} 40V${Math.min(39.4, height(ms)).toFixed(2)}`);
  plotBars.setAttribute("d", path.join(""));
  plotBars.setAttribute("stroke-width", 0.7 * slot);
  for (const end of ["y1", "y2"]) plotMedian.setAttribute(end, height(middle));
  plotScale.textContent = path.length ? `last ${path.length}; maximum ${formatMs(longest)}; dashed: median` : "no round trips yet";
  plot.ariaLabel = `Round trips, ${plotScale.textContent}`;
}
