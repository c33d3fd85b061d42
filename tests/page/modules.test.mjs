// How the page's modules fit together: elements that exist, imports in one direction, and a preload
// for each that the first view needs.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const www = new URL("../../www/", import.meta.url);
const read = (name) => readFileSync(new URL(name, www), "utf8");
const html = read("index.html");
const scripts = Object.fromEntries(readdirSync(new URL("js/", www)).map((name) => [name, read(`js/${name}`)]));

/** Returns the modules that a script imports. */
const imports = (script) => [...script.matchAll(/^(?:import|export) .*"\.\/(.+)";$/gm)].map(([, name]) => name);

test("each element that a module looks up exists once", () => {
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  let count = 0;
  for (const [name, script] of Object.entries(scripts)) {
    for (const [, list] of script.matchAll(/^const \{([^}]+)\} = elements;$/gm)) {
      for (const property of list.split(",").map((item) => item.split(":")[0].trim()).filter(Boolean)) {
        const id = property.replace(/[A-Z]/g, "-$&").toLowerCase();
        assert.ok(ids.includes(id), `${name}: ${id}`);
        count += 1;
      }
    }
  }
  assert.ok(count > 50, `${count} elements`);
});

/** Returns these modules, and all that they import. Throws if imports run in a circle. */
function withImports(names) {
  const reached = new Set();
  const visit = (name, path) => {
    assert.ok(!path.includes(name), `a circle: ${[...path, name].join(" → ")}`);
    reached.add(name);
    imports(scripts[name]).forEach((next) => visit(next, [...path, name]));
  };
  names.forEach((name) => visit(name, []));
  return [...reached].sort();
}

/** The modules that are loaded by name, once the page is shown or when they are needed. */
const named = [...scripts["main.js"].match(/^const LATER = \[(.*)\];$/m)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => `${name}.js`);
const later = [
  ...named,
  ...Object.values(scripts).flatMap((script) => [...script.matchAll(/\b(?:load|call)\("([^"]+)"/g)]).map(([, name]) => `${name}.js`),
];

test("imports have no circle, and each module is reached", () => {
  assert.deepEqual(withImports(["main.js", ...later]), Object.keys(scripts).sort());
});

test("what the first view needs is preloaded, so that it takes one round trip, and nothing else is", () => {
  const preloaded = [...html.matchAll(/<link rel="modulepreload" href="\/js\/([^"]+)">/g)].map(([, name]) => name);
  const started = html.match(/<script type="module" src="\/js\/([^"]+)">/)[1];
  assert.equal(started, "main.js");
  assert.deepEqual([...preloaded, started].sort(), withImports(["main.js"]));
});

test("each module that is loaded when it is needed is loaded before, too: the server may be gone then", () => {
  const loaded = withImports(["kiosk.js", ...named]);
  for (const name of later) assert.ok(loaded.includes(name), name);
});

for (const [name, expected] of Object.entries({
  "address.js": [], "chat-events.js": ["words.js"], "duration.js": [], "failure-words.js": [], "matching.js": ["words.js"], "report-words.js": ["words.js"], "snippets.js": [], "message-forms.js": ["words.js"], "words.js": ["close-codes.js"],
})) {
  test(`${name} is pure`, () => {
    assert.deepEqual(imports(scripts[name]), expected);
    assert.doesNotMatch(scripts[name], /^(export )?let |\b(document|window|location|navigator)\./m);
  });
}
