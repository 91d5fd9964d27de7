// The form stays a form: this only sends it to its own preview while it is filled in, and shows what comes back.
const form = document.querySelector("form[data-preview]");
const place = document.getElementById("preview");
let waiting, running;

async function look() {
  running?.abort();
  running = new AbortController();
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.preview, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { "X-Fragment": "preview" },
      signal: running.signal,
    });
    if (answer.ok) place.innerHTML = await answer.text();
  } catch (fault) {
    if (fault.name === "AbortError") return;
  }
  place.removeAttribute("aria-busy");
}

if ("glance" in place.dataset) look();

form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(look, 300);
});
