"use strict";
// What goes wrong here shows in the page, and as an attribute to whoever looks for it.
addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });

const tests = [...document.querySelectorAll("details.test")];

// A test's part becomes elements when it is opened for the first time. Its text was escaped when the page was made.
function fill(test) {
  const text = test.querySelector(":scope > script");
  if (!text) return;
  const content = document.createElement("div");
  content.innerHTML = text.textContent;
  text.replaceWith(content);
}

function show(test) {
  fill(test);
  test.hidden = false;
  test.open = true;
  test.scrollIntoView();
}

for (const test of tests) test.addEventListener("toggle", () => { if (test.open) fill(test); });

const filters = document.getElementById("filters");
const words = document.getElementById("words");
function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const off = new Set([...filters.querySelectorAll("[type=checkbox]:not(:checked)")].map((box) => box.name));
  let shown = 0;
  for (const test of tests) {
    const text = test.querySelector("summary").textContent.toLowerCase();
    test.hidden = off.has(test.dataset.verdict) || !wanted.every((word) => text.includes(word));
    if (!test.hidden) shown += 1;
  }
  document.getElementById("shown").textContent = `${shown} of ${tests.length}`;
}
filters.addEventListener("input", filter);
filters.addEventListener("submit", (event) => event.preventDefault());
filter();

function named() {
  const test = document.getElementById(location.hash.slice(1));
  if (test && test.matches("details.test")) show(test);
  return test;
}
addEventListener("hashchange", named);
// A mark that is clicked a second time changes no hash.
document.getElementById("matrix").addEventListener("click", (event) => {
  const mark = event.target.closest("a.mark");
  if (mark && mark.hash === location.hash) named();
});
if (!named() && tests.length > 0) {
  fill(tests[0]);
  tests[0].open = true;
}
document.documentElement.dataset.ready = tests.length;
