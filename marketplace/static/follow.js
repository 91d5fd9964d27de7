// Follows long work: moves its bar with the server's events, and shows the page anew when it has ended.
"use strict";

for (const bar of document.querySelectorAll("progress[data-follow]")) {
  const events = new EventSource(bar.dataset.follow);
  events.addEventListener("progress", ({ data }) => {
    const { done, total } = JSON.parse(data);
    bar.max = total;
    bar.value = done;
  });
  events.addEventListener("end", () => {
    events.close();
    location.reload();
  });
}
