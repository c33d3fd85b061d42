// Filters the history by text, direction and kind.
import { setFilter } from "./history.js";
import { matcher } from "./matching.js";
import { elements } from "./page.js";

const { filter, kind } = elements;

export function apply() {
  setFilter(matcher(filter.value, kind.value));
}
