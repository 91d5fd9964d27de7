// Draws the figures of a page with Plotly, in the colours of the stylesheet. Without it the tables are there.
"use strict";

const pencil = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** A token's colour as Plotly can read it: whatever its notation, the browser paints it. */
function colour(token) {
  probe.className = `probe-${token}`;
  pencil.clearRect(0, 0, 1, 1);
  pencil.fillStyle = getComputedStyle(probe).color;
  pencil.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pencil.getImageData(0, 0, 1, 1).data;
  return `rgba(${r},${g},${b},${a / 255})`;
}

/** The figure with every "token:name" replaced by its colour. */
function painted(value) {
  if (typeof value === "string") return value.startsWith("token:") ? colour(value.slice(6)) : value;
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, painted(part)]));
  }
  return value;
}

const still = { displayModeBar: false, responsive: true };

async function draw(figure) {
  const { data, layout } = painted(JSON.parse(figure.dataset.figure));
  const drawing = figure.querySelector(".drawing");
  layout.font.family = getComputedStyle(document.body).fontFamily;
  await Plotly.react(drawing, data, layout, still);
  if (!figure.classList.contains("drawn")) {
    figure.classList.add("drawn");
    drawing.on("plotly_click", ({ points: [point] }) => {
      if (typeof point.customdata === "string") location.assign(point.customdata);
    });
  }
}

const figures = [...document.querySelectorAll("[data-figure]")];
const drawAll = () => figures.forEach(draw);
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
