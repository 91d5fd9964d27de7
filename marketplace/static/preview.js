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

// What a part's heading says of its fields, as the server writes it.
function summarise(part) {
  const said = [...part.querySelectorAll("[name]")].flatMap(field => {
    const label = field.closest("label");
    if (field.type === "checkbox") return field.checked ? [label.textContent.trim()] : [];
    if (["", "0"].includes(field.value.trim())) return [];
    const name = label.firstChild.textContent.trim();
    return [`${name}: ${field.selectedOptions?.[0].textContent ?? field.value.trim().replaceAll("\n", ", ")}`];
  });
  const place = part.querySelector("summary small");
  place.textContent = said.join(" · ") || place.dataset.empty;
}

if ("glance" in place.dataset) look();

form.addEventListener("input", ({ target }) => {
  const part = target.closest("details.part");
  if (part) summarise(part);
  clearTimeout(waiting);
  waiting = setTimeout(look, 300);
});
