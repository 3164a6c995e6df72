"use strict";
// The graph on its canvas: coordinates from Python, shapes and colours by memory, lines by weight.

const MARGIN = 26, ACROSS = 65535;
const SHADES = 5;  // of lines, from faint to strong

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
    this.recolour();
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    this.colours = [of("--ink"), of("--working"), of("--shortterm"), of("--longterm"), of("--forgotten")];
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
    this.px = Float32Array.from(memory.x, (v) => scaled(v, wide, this.offset[0]));
    this.py = Float32Array.from(memory.y, (v) => scaled(v, high, this.offset[1]));
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
    this.drawLines();
    for (const state of [FORGOTTEN, LONGTERM, SHORTTERM, WORKING]) {
      for (const i of this.order) if (memory.state[i] === state) this.drawOne(i, state);
    }
    context.globalAlpha = 1;
    this.nameLanes();
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
    context.font = "13px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = this.ink.page;  // a rim, for dots and lines may lie below
    context.fillStyle = this.colours[0];
    const written = [];
    for (const [lane, [left, right, top]] of tops) {
      const label = `lane ${lane}`, half = context.measureText(label).width / 2;
      const x = Math.min(Math.max((left + right) / 2, half + 2), this.width - half - 2);
      const y = Math.max(14, top - 16);
      if (written.some((one) => Math.abs(one.x - x) < one.half + half + 6 && Math.abs(one.y - y) < 15)) continue;
      written.push({ x, y, half });
      context.strokeText(label, x, y);
      context.fillText(label, x, y);
    }
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
    paint(context, state, x, y, this.radius[i], this.colours);
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
