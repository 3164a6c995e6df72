"use strict";
// The graph on its canvas: coordinates from Python, shapes and colours by memory, lines by weight.

const MARGIN = 26, ACROSS = 65535;
const SHADES = 5;  // of lines, from faint to strong
const NAMED = 18, LETTERS = 28;  // texts beside engrams at most, and letters of each
const ROOM = 30000;  // pixels that each takes, so that a phone shows fewer

/** The outline of a memory's mark: a diamond, a square, a disc, a small ring. */
function outline(context, state, x, y, radius) {
  context.beginPath();
  if (state === WORKING) {
    const r = 1.25 * radius;
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
  } else if (state === SHORTTERM) {
    const r = 0.9 * radius;
    context.rect(x - r, y - r, 2 * r, 2 * r);
  } else {
    context.arc(x, y, state === FORGOTTEN ? 0.8 * radius : radius, 0, 2 * Math.PI);
  }
}

function paint(context, state, x, y, radius, colours) {
  outline(context, state, x, y, radius);
  if (state === FORGOTTEN) {
    context.lineWidth = 1.2;
    context.strokeStyle = colours[FORGOTTEN];
    context.stroke();
  } else {
    context.fillStyle = colours[state];
    context.fill();
    context.lineWidth = 0.8;  // an outline, for the fill alone may be too like the ground
    context.strokeStyle = colours[0];
    context.stroke();
  }
}

class Drawing {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scale = 1;
    this.offset = [0, 0];
    this.heat = new Float32Array(memory.shown);  // 1: fires now; less: fired shortly before
    this.matches = null;
    this.current = -1;  // under the pointer or the focus
    this.chosen = -1;
    this.most = memory.fires.reduce((a, b) => Math.max(a, b), 1);
    this.order = Array.from(memory.fires.keys()).sort((a, b) => memory.fires[b] - memory.fires[a]);
    this.shade = this.shades();
    this.placed = "connections";
    this.told = "memory";  // by colours
    this.labelled = true;
    this.widths = new Map();  // of words, in pixels
    this.recolour();
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    this.colours = [of("--ink"), of("--working"), of("--shortterm"), of("--longterm"), of("--forgotten")];
    this.scaleColours = [0, 1, 2, 3, 4, 5].map((n) => of(`--scale-${n}`));
    this.ink = { fired: of("--fired"), glow: of("--glow"), edge: of("--edge"), match: of("--match"),
      focus: of("--focus"), page: of("--page") };
  }

  /** The shade of each line: a fifth of all by strength. */
  shades() {
    const weight = memory.edges.weight;
    const order = Array.from(weight.keys()).sort((a, b) => weight[a] - weight[b]);
    const shade = new Uint8Array(weight.length);
    order.forEach((k, rank) => { shade[k] = Math.floor((SHADES * rank) / order.length); });
    return shade;
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * ratio);
    this.canvas.height = Math.round(box.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const room = Math.sqrt((box.width * box.height) / Math.max(40, memory.shown));
    const [least, more] = [Math.max(2.5, room / 10), room / 3.4];
    this.radius = Float32Array.from(memory.fires, (n) => Math.min(least + more * Math.sqrt(n / this.most), 14));
    this.project();
  }

  project() {
    const wide = this.width - 2 * MARGIN, high = this.height - 2 * MARGIN;
    const scaled = (value, span, offset) => MARGIN + offset + this.scale * span * (value / ACROSS);
    const { x, y } = this.placed === "meaning" ? memory.map : memory;
    this.px = Float32Array.from(x, (v) => scaled(v, wide, this.offset[0]));
    this.py = Float32Array.from(y, (v) => scaled(v, high, this.offset[1]));
    this.topics = (this.placed === "meaning" ? memory.map.topics : []).map((one) => (
      { words: one.words, x: scaled(one.x, wide, this.offset[0]), y: scaled(one.y, high, this.offset[1]) }));
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(20, Math.max(0.5, this.scale * factor));
    const by = scale / this.scale;
    this.offset = [x - MARGIN - by * (x - MARGIN - this.offset[0]), y - MARGIN - by * (y - MARGIN - this.offset[1])];
    this.scale = scale;
    this.project();
  }

  pan(dx, dy) {
    this.offset = [this.offset[0] + dx, this.offset[1] + dy];
    this.project();
  }

  fit() {
    this.scale = 1;
    this.offset = [0, 0];
    this.project();
  }

  /** Bring engram i into view. */
  reveal(i) {
    const x = this.px[i], y = this.py[i];
    if (x >= 0 && x <= this.width && y >= 0 && y <= this.height) return;
    this.pan(this.width / 2 - x, this.height / 2 - y);
  }

  /** Whether engram i can be seen: it exists by now, or is searched for. */
  visible(i) {
    return memory.state[i] !== UNBORN || i === this.current || (this.matches !== null && this.matches.has(i));
  }

  /** The engram nearest to a point of the canvas, -1 if there is none near. */
  at(x, y) {
    let best = -1, least = Infinity;
    for (let i = 0; i < memory.shown; i += 1) {
      if (!this.visible(i)) continue;
      const away = Math.hypot(this.px[i] - x, this.py[i] - y) - this.radius[i];
      if (away < Math.min(least, 7)) {
        best = i;
        least = away;
      }
    }
    return best;
  }

  draw() {
    const context = this.context;
    context.clearRect(0, 0, this.width, this.height);
    if (this.placed === "connections") this.drawLines();
    else this.drawFocusedLines();
    for (const state of [FORGOTTEN, LONGTERM, SHORTTERM, WORKING]) {
      for (const i of this.order) if (memory.state[i] === state) this.drawOne(i, state);
    }
    context.globalAlpha = 1;
    this.written = [];
    this.nameLanes();
    for (const { words, x, y } of this.topics) this.write(words, x, y, "bold 14px system-ui, sans-serif", 40);
    if (this.labelled) this.nameEngrams();
    if (this.matches !== null) for (const i of this.matches) this.ring(i, 4, 2.5, this.ink.match);
    if (this.chosen >= 0) this.ring(this.chosen, 5, 3, this.ink.focus);
    if (this.current >= 0 && this.current !== this.chosen) this.ring(this.current, 5, 2, this.ink.focus);
  }

  nameLanes() {
    if (memory.lanes < 2) return;
    const context = this.context, tops = new Map();
    for (let i = 0; i < memory.shown; i += 1) {
      const [left, right, top] = tops.get(memory.lane[i]) ?? [Infinity, -Infinity, Infinity];
      tops.set(memory.lane[i], [Math.min(left, this.px[i]), Math.max(right, this.px[i]), Math.min(top, this.py[i])]);
    }
    for (const [lane, [left, right, top]] of tops) {
      this.write(`lane ${lane}`, (left + right) / 2, Math.max(14, top - 16), "13px system-ui, sans-serif", 40);
    }
  }

  /** The beginnings of texts beside the engrams that fired most often, as far as there is room. */
  nameEngrams() {
    const first = [this.current, this.chosen, ...(this.matches ?? [])].filter((i) => i >= 0);
    const most = Math.min(NAMED, (this.width * this.height) / ROOM) - this.topics.length;
    let named = 0, tried = 0;
    for (const i of [...first, ...this.order]) {
      if (named >= Math.max(most, 3) || tried > 6 * NAMED) return;
      if (!this.visible(i) || !memory.texts[i]) continue;
      if (this.px[i] < 0 || this.px[i] > this.width || this.py[i] < 0 || this.py[i] > this.height) continue;
      tried += 1;
      const y = this.py[i] - this.radius[i] - 8;
      if (this.write(memory.label(i), this.px[i], y, "12px system-ui, sans-serif", LETTERS)) named += 1;
    }
  }

  /** Write words around a point, with a rim, for dots and lines may lie below; false: no room. */
  write(words, x, y, font, most) {
    const context = this.context, text = words.length > most ? `${words.slice(0, most - 1)}…` : words;
    context.font = font;
    if (!this.widths.has(font + text)) this.widths.set(font + text, context.measureText(text).width);
    const half = this.widths.get(font + text) / 2;
    if (2 * half > this.width - 4) return false;
    x = Math.min(Math.max(x, half + 2), this.width - half - 2);
    y = Math.min(Math.max(y, 14), this.height - 4);
    if (this.written.some((one) => Math.abs(one.x - x) < one.half + half + 8 && Math.abs(one.y - y) < 17)) return false;
    this.written.push({ x, y, half });
    context.save();  // what is drawn next knows nothing of this
    context.textAlign = "center";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = this.ink.page;
    context.fillStyle = this.colours[0];
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
    context.restore();
    return true;
  }

  drawLines() {
    const context = this.context, { source, target } = memory.edges;
    const paths = Array.from({ length: SHADES }, () => new Path2D());
    const faint = new Path2D(), highlighted = new Path2D();
    const focused = this.current >= 0 ? this.current : this.chosen;
    for (let k = 0; k < source.length; k += 1) {
      const a = source[k], b = target[k];
      if (memory.state[a] === UNBORN || memory.state[b] === UNBORN) continue;
      const gone = memory.state[a] === FORGOTTEN || memory.state[b] === FORGOTTEN;
      const path = a === focused || b === focused ? highlighted : gone ? faint : paths[this.shade[k]];
      path.moveTo(this.px[a], this.py[a]);
      path.lineTo(this.px[b], this.py[b]);
    }
    context.strokeStyle = this.ink.edge;
    context.lineWidth = 0.8;
    context.globalAlpha = 0.16;
    context.stroke(faint);
    paths.forEach((path, shade) => {
      context.globalAlpha = 0.22 + 0.13 * shade;
      context.stroke(path);
    });
    context.globalAlpha = 0.9;
    context.lineWidth = 1.6;
    context.strokeStyle = this.ink.focus;
    context.stroke(highlighted);
    context.globalAlpha = 1;
  }

  /** On the map only the lines of the engram that is looked at. */
  drawFocusedLines() {
    const focused = this.current >= 0 ? this.current : this.chosen;
    if (focused < 0) return;
    const context = this.context;
    context.beginPath();
    for (const k of [...memory.outgoing[focused], ...memory.incoming[focused]]) {
      const [a, b] = [memory.edges.source[k], memory.edges.target[k]];
      if (memory.state[a] === UNBORN || memory.state[b] === UNBORN) continue;
      context.moveTo(this.px[a], this.py[a]);
      context.lineTo(this.px[b], this.py[b]);
    }
    context.lineWidth = 1.6;
    context.strokeStyle = this.ink.focus;
    context.stroke();
  }

  /** The colours of engram i: those of its memory, or its own on the scale. */
  coloursOf(i) {
    if (this.told === "memory") return this.colours;
    const share = memory.shareOf(i, this.told);
    const colour = share === null ? this.colours[FORGOTTEN] : this.onScale(share);
    return [this.colours[0], colour, colour, colour, this.colours[FORGOTTEN]];
  }

  /** A colour of the scale at 0 to 1, mixed from its neighbours. */
  onScale(share) {
    const at = share * (this.scaleColours.length - 1), low = Math.min(Math.floor(at), this.scaleColours.length - 2);
    return `color-mix(in srgb, ${this.scaleColours[low]} ${Math.round(100 * (low + 1 - at))}%, ${this.scaleColours[low + 1]})`;
  }

  drawOne(i, state) {
    const context = this.context, dimmed = this.matches !== null && !this.matches.has(i);
    const x = this.px[i], y = this.py[i], heat = this.heat[i];
    context.globalAlpha = (state === FORGOTTEN ? 0.6 : 1) * (dimmed ? 0.3 : 1);
    if (heat > 0.05) {
      context.save();
      context.globalAlpha *= 0.6 * heat;
      context.fillStyle = this.ink.glow;
      context.beginPath();
      context.arc(x, y, this.radius[i] + 2 + 4 * heat, 0, 2 * Math.PI);
      context.fill();
      context.restore();
    }
    paint(context, state, x, y, this.radius[i], this.coloursOf(i));
    if (heat > 0.5) {
      outline(context, state, x, y, this.radius[i] + 1.5);
      context.lineWidth = 2;
      context.strokeStyle = this.ink.fired;
      context.stroke();
    }
  }

  ring(i, gap, width, colour) {
    if (!this.visible(i)) return;
    this.context.globalAlpha = memory.state[i] === UNBORN ? 0.5 : 1;
    this.context.beginPath();
    this.context.arc(this.px[i], this.py[i], this.radius[i] + gap, 0, 2 * Math.PI);
    this.context.lineWidth = width;
    this.context.strokeStyle = colour;
    this.context.stroke();
    this.context.globalAlpha = 1;
  }
}
