// Keys for what the page can do anyway, and the difference while one ticks. Every key presses a control of the page.
"use strict";

const bench = document.querySelector("form[data-bench]");
const sums = document.getElementById("sums");
const typing = "input:not([type=checkbox]), select, textarea";
let running;

const here = () => document.activeElement.closest("tr[data-row]");
const boxes = side => [...document.querySelectorAll(`tr[data-row${side ? `=${side}` : ""}] input`)];
const focus = node => {
  node?.focus();
  node?.scrollIntoView({ block: "nearest" });
};

function step(by) {
  const all = boxes();
  const at = all.indexOf(here()?.querySelector("input"));
  focus(all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]);
}

function fold(selector, field) {
  const found = document.querySelector(selector);
  if (!found) return;
  found.open = true;
  focus(found.querySelector(field));
}

function match() {
  const ticked = bench.querySelector("tr[data-row=theirs] :checked") && bench.querySelector("tr[data-row=ours] :checked");
  const likely = document.querySelector("[data-suggestion] button");
  if (!ticked && likely) likely.click();
  else if (bench.elements.reason.value.trim()) bench.querySelector("[data-match]").click();
  else focus(bench.elements.reason);
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  h: () => focus(boxes("theirs")[0]),
  l: () => focus(boxes("ours")[0]),
  s: () => here()?.querySelector("button[name=line]")?.click(),
  m: match,
  u: () => fold("details[data-undo]", "input[name=reason]"),
  w: () => here()?.querySelector("a[data-break]")?.click(),
  "/": () => focus(document.querySelector("input[name=q]")),
  "?": () => fold("details[data-keys]", "summary"),
};

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  if (key === "Enter" && (target === bench.elements.reason || target.matches("tr[data-row] input"))) {
    event.preventDefault();
    if (target === bench.elements.reason) match();
    else keys.s();
  } else if (key === "Escape" && target.matches(typing)) {
    target.blur();
  } else if (keys[key] && !target.matches(typing)) {
    event.preventDefault();
    keys[key]();
  }
});

bench.addEventListener("change", async event => {
  if (event.target.type !== "checkbox") return;
  running?.abort();
  running = new AbortController();
  sums.setAttribute("aria-busy", "true");
  try {
    const asked = new URLSearchParams(new FormData(bench));
    const answer = await fetch(`${bench.dataset.bench}?${asked}`, { signal: running.signal });
    if (answer.ok) sums.innerHTML = await answer.text();
  } catch (fault) {
    if (fault.name === "AbortError") return;
  }
  sums.removeAttribute("aria-busy");
});
