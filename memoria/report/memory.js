"use strict";
// The data of the page: columns out of base64, and the state at a position of the slider.

const UNBORN = 0, WORKING = 1, SHORTTERM = 2, LONGTERM = 3, FORGOTTEN = 4;
const ENDLESS = 2 ** 39;  // steps: no life is so long
const STATES = ["not made yet", "working memory", "short-term memory", "long-term memory", "forgotten"];

function column(packed) {
  const raw = atob(packed.base64);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
  const kinds = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };
  return new kinds[packed.type](bytes.buffer);
}

function columns(packed) {
  return Object.fromEntries(Object.entries(packed).map(([name, one]) => [name, column(one)]));
}

function number(value) {
  return value.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

function plural(count, word) {
  return `${number(count)} ${word}${count === 1 ? "" : "s"}`;
}

const $ = (id) => document.getElementById(id);

class Memory {
  constructor(data) {
    Object.assign(this, columns(data.engrams));
    this.shown = data.shown;
    this.lanes = data.lanes;
    this.steps = data.steps;
    this.width = data.width;
    this.positions = data.positions;
    this.texts = data.texts;
    this.lengths = column(data.lengths);
    this.counts = columns(data.counts);
    this.edges = columns(data.edges);
    this.map = data.map && { ...data.map, x: column(data.map.x), y: column(data.map.y) };
    const { ids, born, gone } = columns({ ids: data.others.ids, born: data.others.born, gone: data.others.gone });
    this.others = { ids, born, gone, texts: data.others.texts, total: data.others.total };
    this.last = this.positions ? this.positions + 1 : 0;  // the slider ends after the last step
    this.firedRanks = column(data.fired.ranks);
    this.ends = column(data.fired.ends);
    this.state = new Uint8Array(this.shown);
    this.outgoing = Array.from({ length: this.shown }, () => []);
    this.incoming = Array.from({ length: this.shown }, () => []);
    for (let k = 0; k < this.edges.source.length; k += 1) {
      this.outgoing[this.edges.source[k]].push(k);
      this.incoming[this.edges.target[k]].push(k);
    }
    for (const list of this.incoming) list.sort((a, b) => this.edges.weight[b] - this.edges.weight[a]);
    this.position = 1;
  }

  /** The step that ends at a position of the slider, which counts from 1; one more at its end. */
  stepAt(position) {
    return position > this.positions ? this.steps + 1 : Math.min(position * this.width, this.steps);
  }

  positionOf(step) {
    return Math.min(this.positions, Math.max(1, Math.ceil(step / this.width)));
  }

  get step() {
    return this.stepAt(this.position);
  }

  /** What is shown, in words. */
  get moment() {
    if (this.position > this.positions) return `after step ${number(this.steps)}`;
    return `step ${number(this.step)} of ${number(this.steps)}`;
  }

  /** The memory that engram i is in as the step reminds. */
  stateOf(i, step) {
    if (this.born[i] > step) return UNBORN;
    if (this.gone[i] > 0 && this.gone[i] < step) return FORGOTTEN;
    if (this.born[i] === step) return WORKING;
    return this.longterm[i] > 0 && this.longterm[i] < step ? LONGTERM : SHORTTERM;
  }

  moveTo(position) {
    this.position = Math.min(this.last, Math.max(1, Math.round(position)));
    for (let i = 0; i < this.shown; i += 1) this.state[i] = this.stateOf(i, this.step);
  }

  /** Engrams shown that fired at a position; after the last step those that fired in it. */
  firedAt(position) {
    position = Math.min(position, this.positions);
    return this.firedRanks.subarray(position > 1 ? this.ends[position - 2] : 0, this.ends[position - 1]);
  }

  /** The positions at which engram i fired. */
  firings(i) {
    const found = [];
    for (let position = 1; position <= this.positions; position += 1) {
      if (this.firedAt(position).includes(i)) found.push(position);
    }
    return found;
  }

  name(i) {
    return this.lanes > 1 ? `engram ${this.id[i]}, lane ${this.lane[i]}` : `engram ${this.id[i]}`;
  }

  text(i) {
    if (!this.texts[i]) return "";
    return this.lengths[i] > this.texts[i].length ? `${this.texts[i]}…` : this.texts[i];
  }

  label(i) {
    return this.text(i).replace(/\s+/g, " ") || this.name(i);
  }

  /** As a list shows it: texts may be alike. */
  entry(i) {
    return `#${this.id[i]} ${this.text(i).replace(/\s+/g, " ")}`;
  }

  /** The life of engram i in a few sentences, as seen from the step shown. */
  life(i) {
    const parts = [`${this.name(i)}: ${STATES[this.state[i]]}`, `made in step ${number(this.born[i])}`];
    if (this.longterm[i]) parts.push(`long-term after step ${number(this.longterm[i])}`);
    parts.push(`fired ${plural(this.fires[i], "time")}`);
    const end = this.gone[i] || this.steps;
    const lived = plural(end - this.born[i] + 1, "step");
    if (this.gone[i]) parts.push(`forgotten after step ${number(this.gone[i])}, lived ${lived}`);
    else parts.push(`alive after the last step, ${lived} old, ${this.left(i)} left`);
    return parts.join("; ");
  }

  left(i) {
    const left = this.lifespan[i];
    return left < ENDLESS ? `${number(left)} steps of lifespan` : "an endless lifespan";
  }

  /** What colours tell of engram i at the step shown, 0 to 1; null: nothing. */
  shareOf(i, told) {
    if (told === "age") return Math.min(1, Math.max(0, (this.step - this.born[i]) / Math.max(1, this.steps)));
    const left = this.lifespan[i];
    return left < ENDLESS ? Math.min(1, Math.max(0, left / Math.max(1, this.longest))) : null;
  }

  /** The longest lifespan left that has an end; 0 where none has. */
  get longest() {
    this.mostLeft ??= this.lifespan.reduce((most, one) => (one < ENDLESS ? Math.max(most, one) : most), 0);
    return this.mostLeft;
  }

  /** Places among `others` of engrams as `search` finds them. */
  searchOthers(query) {
    const wanted = fold(query), id = /^#(\d+)$/.exec(wanted);
    this.foldedOthers ??= this.others.texts.map(fold);
    const found = [];
    for (let k = 0; wanted && k < this.foldedOthers.length; k += 1) {
      if (id ? this.others.ids[k] === Number(id[1]) : this.foldedOthers[k].includes(wanted)) found.push(k);
    }
    return found;
  }

  /** An engram outside of the graph, in a line. */
  otherEntry(k) {
    const { ids, born, gone, texts } = this.others;
    const end = gone[k] ? `, forgotten after step ${number(gone[k])}` : "";
    return `#${ids[k]} ${texts[k].replace(/\s+/g, " ")} (made in step ${number(born[k])}${end}; not in the graph)`;
  }

  /** Engrams whose text has the query in it, or whose id is after a #; null for an empty query. */
  search(query) {
    const wanted = fold(query);
    if (!wanted) return null;
    const id = /^#(\d+)$/.exec(wanted);
    this.folded ??= this.texts.map(fold);
    const found = [];
    for (let i = 0; i < this.shown; i += 1) {
      if (id ? this.id[i] === Number(id[1]) : this.folded[i].includes(wanted)) found.push(i);
    }
    return found;
  }
}

function fold(text) {
  return text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();
}

const memory = new Memory(JSON.parse(document.getElementById("data-graph").textContent));
