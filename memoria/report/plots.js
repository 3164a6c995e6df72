"use strict";
// Plots, drawn when they come into view in the colours of the page.

/** An axis title in lines that fit: a phone is narrow. */
function wrapped(text, room) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length * 7.5 > room && lines.at(-1)) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.join("<br>");
}

function themed(layout, box) {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const made = structuredClone(layout);
  const none = "rgba(0,0,0,0)";
  Object.assign(made, { paper_bgcolor: none, plot_bgcolor: none, autosize: true });
  made.font = { ...made.font, color: of("--ink"), family: "system-ui, sans-serif" };
  made.hoverlabel = { ...made.hoverlabel, bgcolor: of("--card"), font: { color: of("--ink") } };
  delete made.width;
  delete made.height;
  delete made.title;  // the page has it as a heading
  for (const [name, axis] of Object.entries(made)) {
    if (!/^[xy]axis\d*$/.test(name)) continue;
    Object.assign(axis, { gridcolor: of("--line"), linecolor: of("--field"), zerolinecolor: of("--field") });
    const room = (name[0] === "x" ? box.clientWidth : box.clientHeight) - 120;
    if (axis.title?.text) axis.title = { ...axis.title, text: wrapped(axis.title.text, Math.max(80, room)) };
  }
  made.margin = { l: 60, r: 20, t: 30, b: 50 };
  made.legend = { ...made.legend, orientation: "h", x: 0, y: 1.02, yanchor: "bottom" };
  return made;
}

const plots = new Map();  // element -> its figure, once drawn

/** The plotting library is read when the first plot is: the page opens without waiting for it. */
function loadLibrary() {
  const script = document.createElement("script");
  script.textContent = $("library").textContent;
  document.head.append(script);
  $("library").remove();
}

function drawPlot(box) {
  if (typeof Plotly === "undefined") loadLibrary();
  const figure = plots.get(box) ?? JSON.parse($(box.dataset.figure).textContent);
  plots.set(box, figure);
  const options = { displayModeBar: false, responsive: true };
  return Plotly.react(box, figure.data, themed(figure.layout, box), options);
}

function recolourPlots() {
  for (const box of plots.keys()) drawPlot(box);
}

if ($("library")) {
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watch.unobserve(entry.target);
      drawPlot(entry.target);
    }
  }, { rootMargin: "300px" });
  for (const box of document.querySelectorAll(".plot")) watch.observe(box);
  window.addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll(".plot")) drawPlot(box);
  });
}
