// How the page's modules fit together: elements that exist, imports in one direction, and a preload
// for each.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const www = new URL("../../www/", import.meta.url);
const read = (name) => readFileSync(new URL(name, www), "utf8");
const html = read("index.html");
const scripts = Object.fromEntries(readdirSync(new URL("js/", www)).map((name) => [name, read(`js/${name}`)]));

/** Returns the modules that a script imports. */
const imports = (script) => [...script.matchAll(/^import .*"\.\/(.+)";$/gm)].map(([, name]) => name);

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

test("imports have no circle, and begin at main.js", () => {
  const reached = new Set();
  const visit = (name, path) => {
    assert.ok(!path.includes(name), `a circle: ${[...path, name].join(" → ")}`);
    reached.add(name);
    imports(scripts[name]).forEach((next) => visit(next, [...path, name]));
  };
  visit("main.js", []);
  assert.deepEqual([...reached].sort(), Object.keys(scripts).sort());
});

test("each module is preloaded, so that loading takes one round trip", () => {
  const preloaded = [...html.matchAll(/<link rel="modulepreload" href="\/js\/([^"]+)">/g)].map(([, name]) => name);
  const started = html.match(/<script type="module" src="\/js\/([^"]+)">/)[1];
  assert.equal(started, "main.js");
  assert.deepEqual([...preloaded, started].sort(), Object.keys(scripts).sort());
});

test("words.js is pure", () => {
  assert.deepEqual(imports(scripts["words.js"]), ["close-codes.js"]);
  assert.doesNotMatch(scripts["words.js"], /^(export )?let |\b(document|window|location|navigator)\./m);
});
