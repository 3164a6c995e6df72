"use strict";
// The slider, the search, the pointer and the keys. Texts of the memory only ever become text nodes.

const LISTED = 60;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

function element(name, content = "", attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}

class Page {
  constructor() {
    $("viewer").hidden = false;
    this.drawing = new Drawing($("canvas"));
    this.searched = "";
    this.others = [];  // found outside of the graph
    this.trail = [];  // engrams that the keys came through along connections
    this.playing = 0;
    this.slider = $("slider");
    this.slider.max = String(memory.last);
    $("go").max = String(memory.steps);
    this.fillSpeeds();
    this.listenToSteps();
    this.listenToGraph();
    this.listenToSearch();
    this.listenToViews();
    new ResizeObserver(() => {
      this.drawing.resize();
      this.drawing.draw();
    }).observe($("canvas"));
    this.drawing.resize();
    this.moveTo(memory.last);
  }

  // How engrams are drawn

  listenToViews() {
    if (!memory.map) $("placed").querySelector("[value=meaning]").remove();
    if (!memory.longest) $("coloured").querySelector("[value=lifespan]").remove();
    $("placed").addEventListener("change", () => {
      this.drawing.placed = $("placed").value;
      this.drawing.fit();
      const parts = (memory.map?.topics ?? []).map((one) => one.words).join("; ");
      $("canvas").setAttribute("aria-label", this.drawing.placed === "meaning"
        ? `Map of engrams by meaning${parts ? `, its parts: ${parts}` : ""}` : "Graph of engrams");
      $("placed-help").textContent = this.drawing.placed === "meaning"
        ? `Near each other: alike in meaning, by ${memory.map.method}. Words: what texts there share and others lack.`
        : "A line joins two that fire together.";
      this.showView();
    });
    $("coloured").addEventListener("change", () => {
      this.drawing.told = $("coloured").value;
      this.showScale();
      this.showView();
    });
    $("labels").addEventListener("change", () => {
      this.drawing.labelled = $("labels").checked;
      this.drawing.draw();
    });
  }

  showScale() {
    const told = this.drawing.told;
    $("scale").hidden = told === "memory";
    $("scale-low").textContent = told === "age" ? "new" : "about to be forgotten";
    $("scale-high").textContent = told === "age" ? plural(memory.steps, "step") : `${plural(Math.round(memory.longest), "step")} left`;
  }

  // Steps

  moveTo(position) {
    memory.moveTo(position);
    this.drawing.heat.fill(0);
    for (const i of memory.firedAt(memory.position)) this.drawing.heat[i] = 1;
    this.showStep();
    this.fillList();
  }

  showStep() {
    this.slider.value = String(memory.position);
    $("step-now").value = memory.moment;
    $("go").value = String(Math.min(memory.step, memory.steps));
    this.fillCounts();
    const counts = this.currentCounts();
    this.slider.setAttribute("aria-valuetext", `${memory.moment}: `
      + `${number(counts.working)} in working, ${number(counts.shortterm)} in short-term, `
      + `${number(counts.longterm)} in long-term memory, ${number(counts.forgotten)} forgotten, `
      + `${number(counts.fired)} fired`);
    if (!$("tip").hidden) this.showTip(this.drawing.current);
    this.drawing.draw();
  }

  currentCounts() {
    const at = memory.position - 1;
    return Object.fromEntries(Object.entries(memory.counts).map(([name, all]) => [name, all[at]]));
  }

  fillCounts() {
    const counts = this.currentCounts(), seen = [0, 0, 0, 0, 0];
    for (const state of memory.state) seen[state] += 1;
    const rows = [
      ["Working", WORKING, counts.working, seen[WORKING]],
      ["Short-term", SHORTTERM, counts.shortterm, seen[SHORTTERM]],
      ["Long-term", LONGTERM, counts.longterm, seen[LONGTERM]],
      ["Forgotten", FORGOTTEN, counts.forgotten, seen[FORGOTTEN]],
      ["Fired", 0, counts.fired, memory.firedAt(memory.position).length],
    ];
    $("counts-step").textContent = memory.moment;
    if (!$("counts").children.length) {
      $("counts").replaceChildren(...rows.map(([name, state]) => element("tr", [
        element("th", [this.mark(state), name], { scope: "row" }), element("td"), element("td")])));
    }
    rows.forEach(([, , all, here], row) => {
      const cells = $("counts").children[row].children;
      cells[1].textContent = number(all);
      cells[2].textContent = number(here);
    });
  }

  /** The mark of a memory as the graph draws it; state 0: the mark of what fired. */
  mark(state) {
    const made = element("canvas", "", { class: "mark", width: "36", height: "36", "aria-hidden": "true" });
    made.dataset.state = String(state);
    this.paintMark(made);
    return made;
  }

  paintMark(canvas) {
    const context = canvas.getContext("2d"), state = Number(canvas.dataset.state);
    context.clearRect(0, 0, 36, 36);
    if (state) {
      paint(context, state, 18, 18, state === FORGOTTEN ? 15 : 12, this.drawing.colours);
      return;
    }
    context.fillStyle = this.drawing.ink.glow;
    context.beginPath();
    context.arc(18, 18, 17, 0, 2 * Math.PI);
    context.fill();
    context.lineWidth = 4;
    context.strokeStyle = this.drawing.ink.fired;
    context.beginPath();
    context.arc(18, 18, 9, 0, 2 * Math.PI);
    context.stroke();
  }

  recolour() {
    this.drawing.recolour();
    this.drawing.draw();
    for (const one of document.querySelectorAll(".mark")) this.paintMark(one);
    if (this.drawing.chosen >= 0) this.drawLife(this.drawing.chosen);
  }

  fillSpeeds() {
    const speeds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
    const wanted = speeds.find((one) => one * 30 >= memory.positions) ?? speeds.at(-1);
    for (const one of speeds.filter((speed) => speed <= Math.max(10, memory.positions))) {
      const option = element("option", `${plural(one * memory.width, "step")} a second`, { value: String(one) });
      option.selected = one === wanted;
      $("speed").append(option);
    }
  }

  listenToSteps() {
    this.slider.addEventListener("input", () => {
      this.stop();
      this.moveTo(Number(this.slider.value));
    });
    $("go").addEventListener("change", () => {
      const step = Number($("go").value);
      this.stop();
      this.moveTo(Number.isFinite(step) ? memory.positionOf(step) : memory.position);
    });
    $("back").addEventListener("click", () => this.stepBy(-1));
    $("on").addEventListener("click", () => this.stepBy(1));
    $("play").addEventListener("click", () => (this.playing ? this.stop() : this.play()));
  }

  stepBy(count) {
    this.stop();
    this.moveTo(memory.position + count);
    this.announce(this.slider.getAttribute("aria-valuetext"));
  }

  play() {
    if (memory.position >= memory.last) this.moveTo(1);
    $("play").textContent = "Pause";
    let before = performance.now(), due = 0;
    const frame = (time) => {
      if (!this.playing) return;
      // With reduced motion: still pictures, two a second.
      due += (Math.max(0, time - before) / 1000) * Number($("speed").value);
      before = time;
      const least = reducedMotion.matches ? Math.max(1, Number($("speed").value) / 2) : 1;
      if (due >= least) {
        const count = Math.floor(due);
        due -= count;
        this.advance(count);
      }
      if (this.playing) this.playing = requestAnimationFrame(frame);
    };
    this.playing = requestAnimationFrame(frame);
  }

  advance(count) {
    const from = memory.position, heat = this.drawing.heat;
    memory.moveTo(from + count);
    const fade = reducedMotion.matches ? 0 : 0.8;
    for (let i = 0; i < heat.length; i += 1) heat[i] *= fade;
    for (let position = from + 1; position <= memory.position; position += 1) {
      for (const i of memory.firedAt(position)) heat[i] = 1;
    }
    this.showStep();
    if (memory.position >= memory.last) this.stop();
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    $("play").textContent = "Play";
    this.moveTo(memory.position);
    this.announce(this.slider.getAttribute("aria-valuetext"));
  }

  announce(text) {
    $("announcement").textContent = text;
  }

  // The graph

  listenToGraph() {
    const canvas = $("canvas");
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.offsetX, y: event.offsetY, moved: false };
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const { offsetX: x, offsetY: y } = event;
      if (drag && (drag.moved || Math.hypot(x - drag.x, y - drag.y) > 4)) {
        this.drawing.pan(x - drag.x, y - drag.y);
        drag = { x, y, moved: true };
        this.hideTip();
      } else if (!drag) {
        this.pointAt(this.drawing.at(x, y));
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      const moved = drag?.moved;
      drag = null;
      if (moved) return;
      const found = this.drawing.at(event.offsetX, event.offsetY);
      this.pointAt(found);
      if (found >= 0) this.choose(found);
    });
    canvas.addEventListener("pointercancel", () => { drag = null; });
    canvas.addEventListener("pointerleave", () => { if (!drag) this.pointAt(-1); });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;  // the wheel scrolls the page
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    canvas.addEventListener("focus", () => {
      if (canvas.matches(":focus-visible")) this.goTo(this.firstEngram());
    });
    canvas.addEventListener("blur", () => this.pointAt(-1));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !$("tip").hidden) this.pointAt(-1);
    });
    $("zoom-in").addEventListener("click", () => this.zoom(1.4));
    $("zoom-out").addEventListener("click", () => this.zoom(1 / 1.4));
    $("fit").addEventListener("click", () => this.fit());
  }

  zoom(factor, x, y) {
    this.drawing.zoom(factor, x, y);
    this.showView();
  }

  fit() {
    this.drawing.fit();
    this.showView();
  }

  showView() {
    if (!$("tip").hidden) this.showTip(this.drawing.current);
    this.drawing.draw();
  }

  /** Where the keys begin: the chosen engram, else the one that fired most often so far. */
  firstEngram() {
    if (this.drawing.chosen >= 0) return this.drawing.chosen;
    let best = -1;
    for (let i = 0; i < memory.shown; i += 1) {
      if (memory.state[i] !== UNBORN && (best < 0 || memory.fires[i] > memory.fires[best])) best = i;
    }
    return best;
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const now = this.drawing.current >= 0 ? this.drawing.current : this.firstEngram();
    const exists = (i) => memory.state[i] !== UNBORN;
    const along = (from, by) => {
      let i = from + by;
      while (i >= 0 && i < memory.shown && !exists(i)) i += by;
      return i >= 0 && i < memory.shown ? i : now;
    };
    const moves = {
      ArrowRight: () => along(now, 1),
      ArrowLeft: () => along(now, -1),
      Home: () => along(-1, 1),
      End: () => along(memory.shown, -1),
      ArrowDown: () => {
        const next = memory.outgoing[now]?.map((k) => memory.edges.target[k])
          .find((i) => exists(i) && !this.trail.includes(i));
        if (next === undefined) return now;
        this.trail.push(now);
        return next;
      },
      ArrowUp: () => this.trail.pop() ?? now,
    };
    const others = {
      Enter: () => this.choose(now),
      " ": () => this.choose(now),
      "+": () => this.zoom(1.4),
      "=": () => this.zoom(1.4),
      "-": () => this.zoom(1 / 1.4),
      0: () => this.fit(),
    };
    if (event.key in moves) {
      if (now >= 0) this.goTo(moves[event.key]());
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") this.trail = [];
    } else if (event.key in others) {
      others[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  }

  goTo(i) {
    if (i < 0) return;
    this.drawing.reveal(i);
    this.pointAt(i);
    this.announce(`${memory.label(i)}. ${memory.life(i)}`);
  }

  pointAt(i) {
    if (i === this.drawing.current && (i >= 0) === !$("tip").hidden) return;
    this.drawing.current = i;
    if (i >= 0) this.showTip(i);
    else this.hideTip();
    this.drawing.draw();
  }

  showTip(i) {
    const tip = $("tip"), text = memory.text(i);
    tip.replaceChildren(
      ...(text ? [element("p", text, { class: "text", dir: "auto" })] : []),
      element("p", memory.life(i)),
    );
    tip.hidden = false;
    const x = this.drawing.px[i], y = this.drawing.py[i], gap = this.drawing.radius[i] + 10;
    const left = Math.min(Math.max(4, x + gap), Math.max(4, this.drawing.width - tip.offsetWidth - 4));
    const below = y + gap, above = y - gap - tip.offsetHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below + tip.offsetHeight > this.drawing.height && above > 0 ? above : below}px`;
  }

  hideTip() {
    $("tip").hidden = true;
  }

  // One engram

  choose(i) {
    this.drawing.chosen = i;
    this.drawing.draw();
    const text = memory.text(i), more = memory.lengths[i] - memory.texts[i].length;
    const body = [];
    $("one-title").textContent = memory.name(i).replace("e", "E");
    if (text) body.push(element("p", text, { class: "text", dir: "auto" }));
    if (text && more > 0) body.push(element("p", `${plural(memory.lengths[i], "character")} in all`, { class: "hint" }));
    const strip = element("canvas", "", { class: "life", role: "img", id: "one-life",
      "aria-label": `When it fired: ${plural(memory.fires[i], "time")} between steps 1 and ${number(memory.steps)}` });
    const birth = element("button", `Go to its first step, ${number(memory.born[i])}`, { type: "button" });
    birth.addEventListener("click", () => {
      this.stop();
      this.moveTo(memory.positionOf(memory.born[i]));
      this.announce(this.slider.getAttribute("aria-valuetext"));
    });
    body.push(
      element("p", memory.life(i).replace(/: [^;]*;/, ":")), strip, element("p", birth),
      element("div", [
        this.links("When it fires, so do", memory.outgoing[i], "target"),
        this.links("It fires when these do", memory.incoming[i].slice(0, 8), "source"),
      ], { class: "one-grid" }),
    );
    $("one-body").replaceChildren(...body);
    this.drawLife(i);
    this.announce(`Chosen: ${memory.label(i)}`);
  }

  links(title, edges, end) {
    const items = edges.map((k) => {
      const other = memory.edges[end][k];
      const weight = `${Math.round(100 * memory.edges.weight[k])} %`;
      return element("li", this.chooseButton(other, `${weight} ${memory.entry(other)}`));
    });
    const list = items.length ? element("ul", items, { class: "links" }) : element("p", "none in the graph", { class: "hint" });
    return element("div", [element("h4", title), list]);
  }

  /** A button that shows an engram when it has the focus or the pointer, and chooses it when pressed. */
  chooseButton(i, label) {
    const made = element("button", label, { type: "button", dir: "auto" });
    made.addEventListener("focus", () => {
      this.drawing.reveal(i);
      this.pointAt(i);
    });
    made.addEventListener("blur", () => this.pointAt(-1));
    made.addEventListener("pointerenter", () => this.pointAt(i));
    made.addEventListener("pointerleave", () => this.pointAt(-1));
    made.addEventListener("click", () => this.choose(i));
    return made;
  }

  /** A line from birth to end with a stroke for every firing. */
  drawLife(i) {
    const canvas = $("one-life");
    if (!canvas) return;
    const wide = canvas.clientWidth || 600, high = 40, ratio = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = wide * ratio;
    canvas.height = high * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const x = (step) => 4 + ((wide - 8) * (step - 1)) / Math.max(1, memory.steps - 1);
    context.strokeStyle = this.drawing.colours[FORGOTTEN];
    context.lineWidth = 1;
    context.strokeRect(0.5, 0.5, wide - 1, high - 1);
    context.lineWidth = 4;
    context.beginPath();
    context.moveTo(x(memory.born[i]), high - 7);
    context.lineTo(x(memory.gone[i] || memory.steps) + 1, high - 7);
    context.stroke();
    context.strokeStyle = this.drawing.colours[LONGTERM];
    context.lineWidth = 1.5;
    context.beginPath();
    for (const position of memory.firings(i)) {
      context.moveTo(x(memory.stepAt(position)), 5);
      context.lineTo(x(memory.stepAt(position)), high - 12);
    }
    context.stroke();
  }

  // Search and list

  listenToSearch() {
    let waiting = 0;
    $("query").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.search(), 120);
    });
    $("query").addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.search();
    });
  }

  search() {
    if ($("query").value === this.searched) return;  // the list may have the focus by now
    this.searched = $("query").value;
    const found = memory.search($("query").value);
    this.drawing.matches = found === null ? null : new Set(found);
    this.others = memory.searchOthers($("query").value);
    const count = (found?.length ?? 0) + this.others.length, known = memory.shown + memory.others.texts.length;
    $("found").textContent = found === null ? ""
      : `${plural(count, "engram")} of ${number(known)} ${count === 1 ? "matches" : "match"}`
        + (this.others.length ? `, ${number(this.others.length)} of them not in the graph` : "");
    this.fillList();
    this.drawing.draw();
  }

  fillList() {
    const matches = this.drawing.matches;
    const all = matches === null ? Array.from(memory.firedAt(memory.position)) : [...matches];
    const step = memory.position > memory.positions ? "the last step" : "this step";
    $("list-title").textContent = matches === null ? `Fired in ${step}` : "Found";
    const items = all.slice(0, LISTED).map((i) => element("li", this.chooseButton(i, memory.entry(i))));
    const others = matches === null ? [] : this.others;
    for (const k of others.slice(0, LISTED - items.length)) {
      items.push(element("li", memory.otherEntry(k), { class: "hint", dir: "auto" }));
    }
    const more = all.length + others.length - items.length;
    if (more > 0) items.push(element("li", `and ${number(more)} more`, { class: "hint" }));
    if (!items.length) items.push(element("li", matches === null ? "none of those in the graph" : "nothing", { class: "hint" }));
    $("list").replaceChildren(...items);
  }
}

const page = memory.positions > 0 && memory.shown > 0 ? new Page() : null;

// Light or dark: as the system has it, until the button says otherwise

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : prefersDark.matches;
}

function afterTheme() {
  $("theme").setAttribute("aria-pressed", String(isDark()));
  page?.recolour();
  recolourPlots();
}

$("theme").hidden = false;
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  afterTheme();
});
prefersDark.addEventListener("change", afterTheme);

// On paper: light, and with everything that is folded away

const before = { theme: undefined, closed: [] };

window.addEventListener("beforeprint", () => {
  before.theme = document.documentElement.dataset.theme;
  before.closed = [...document.querySelectorAll("details:not([open])")];
  for (const one of before.closed) one.open = !one.closest("figure");  // not all numbers of all plots
  document.documentElement.dataset.theme = "light";
  afterTheme();
});
window.addEventListener("afterprint", () => {
  for (const one of before.closed) one.open = false;
  if (before.theme) document.documentElement.dataset.theme = before.theme;
  else delete document.documentElement.dataset.theme;
  afterTheme();
});
afterTheme();
document.documentElement.dataset.ready = "yes";
