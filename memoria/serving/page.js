"use strict";
/* The page over a memory. All that comes from it is set as text, never as markup. */

const byId = (id) => document.getElementById(id);
const TOKEN = "memoria-token";

/* The token comes behind # in the address, which is sent to nobody, and leaves the address at once. */
const inAddress = new URLSearchParams(location.hash.slice(1)).get("token");
if (inAddress) {
  sessionStorage.setItem(TOKEN, inAddress);
  history.replaceState(null, "", location.pathname);
}
const token = () => sessionStorage.getItem(TOKEN) || "";

function say(words, wrong = false) {
  byId("status").textContent = words;
  byId("status").classList.toggle("wrong", wrong);
}

async function call(path, body) {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const options = body === undefined ? { headers } : {
    method: "POST", headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  if (body !== undefined) known = null;
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer: is `memoria serve` still running?");
  }
  const document_ = await answer.json();
  if (answer.ok) return document_;
  if (answer.status === 401) {
    sessionStorage.removeItem(TOKEN);
    lock();
  }
  const { message, hint } = document_.error;
  throw new Error(hint ? `${message}; ${hint}` : message);
}

/* Run something that asks the server, and say what went wrong. */
async function attempt(work) {
  document.body.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    say(error.message, true);
    return undefined;
  } finally {
    document.body.removeAttribute("aria-busy");
  }
}

function lock() {
  byId("unlock").hidden = token() !== "";
  byId("undo").disabled = token() === "";
  byId("remember").querySelector("button").disabled = token() === "";
  for (const one of document.querySelectorAll(".actions button")) one.disabled = token() === "";
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
/* A time of an engram; nothing for one that is not there, or later than dates go. */
const when = (time) => {
  const date = new Date(time ?? NaN);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace("T", " ").slice(0, 16);
};

let known = null; /* the state of the memory that the page shows; null while it is not known */

async function refresh() {
  const memory = await call("/api/memory");
  known = memory.digest;
  describe(memory);
}

function describe(memory) {
  byId("name").textContent = memory.name;
  document.title = `${memory.name}: Memoria`;
  const living = memory.lanes.reduce((sum, lane) => sum + lane.working + lane.shortterm + lane.longterm, 0);
  const forgotten = memory.lanes.reduce((sum, lane) => sum + lane.forgotten, 0);
  const begun = memory.phase === "idle" ? "" : ", a step is under way";
  byId("facts").textContent =
    `${plural(living, "engram")} living, ${forgotten.toLocaleString("en")} forgotten, `
    + `${plural(memory.step, "step")}${begun}`;
}

/* One engram with what may be done to it. */
function card(one, { answer = false, faint = false } = {}) {
  const item = element("li", faint ? "faint" : "");
  item.dataset.id = one.id;
  for (const near of one.before ?? []) item.append(element("p", "near", near.text ?? "(no text)"));
  const text = element("p", "text", one.text ?? "(no text)");
  item.append(text);
  for (const near of one.after ?? []) item.append(element("p", "near", near.text ?? "(no text)"));
  const about = [];
  if (one.source) about.push(one.line ? `${one.source}:${one.line}` : one.source);
  if (one.time !== null && one.time !== undefined) about.push(when(one.time));
  about.push(`engram ${one.id}`);
  if (answer) about.push(`confidence ${Math.round(one.confidence * 100)} %`);
  if (one.type) about.push(one.pinned ? `${one.type}, pinned` : one.type);
  for (const [key, value] of Object.entries(one.meta ?? {})) about.push(`${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  item.append(element("p", "about", about.join(" · ")));
  if (one.type !== "forgotten") item.append(actions(one, item, text, answer));
  return item;
}

function actions(one, item, text, answer) {
  const row = element("div", "actions");
  const add = (name, work) => {
    const button = element("button", "", name);
    button.type = "button";
    button.setAttribute("aria-label", `${name}: engram ${one.id}`);
    button.disabled = token() === "";
    button.addEventListener("click", () => attempt(() => work(button)));
    row.append(button);
  };
  if (answer) add("It answered", async () => {
    await call("/api/used", { ids: [one.id], question: byId("question").value });
    say(`engram ${one.id} answered: the question is kept beside it`);
  });
  add(one.pinned ? "Unpin" : "Pin", async (button) => {
    await call(`/api/engrams/${one.id}/${one.pinned ? "unpin" : "pin"}`, {});
    one.pinned = !one.pinned;
    button.textContent = one.pinned ? "Unpin" : "Pin";
    button.setAttribute("aria-label", `${button.textContent}: engram ${one.id}`);
    say(`engram ${one.id} is ${one.pinned ? "pinned: it loses no lifespan" : "pinned no more"}`);
  });
  add("Edit", async () => {
    byId("edit-text").value = one.text ?? "";
    byId("edit-title").textContent = `Edit engram ${one.id}`;
    if (await choice(byId("edit-dialog")) !== "ok") return;
    const changed = byId("edit-text").value;
    await call(`/api/engrams/${one.id}/edit`, { text: changed });
    one.text = changed;
    text.textContent = changed;
    say(`engram ${one.id} is edited`);
  });
  add("Forget", async () => {
    if (!await sure(`Forget engram ${one.id}?`, one.text ?? "(no text)", "Forget")) return;
    await call("/api/forget", { ids: [one.id] });
    item.remove();
    say(`engram ${one.id} is forgotten`);
    await refresh();
  });
  return row;
}

function choice(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
    dialog.showModal();
  });
}

async function sure(title, words, yes) {
  byId("sure-title").textContent = title;
  byId("sure-text").textContent = words;
  byId("sure-ok").textContent = yes;
  return await choice(byId("sure-dialog")) === "ok";
}

async function ask() {
  const question = byId("question").value.trim();
  if (!question) return;
  show("answers");
  const query = new URLSearchParams({ question, context: byId("context").value });
  const found = await call(`/api/ask?${query}`);
  const list = byId("answers-list");
  list.replaceChildren(...found.answers.map((one) => card(one, { answer: true, faint: !found.seems_answered })));
  byId("answers-note").textContent = found.answers.length === 0 ? "Nothing is there to answer this."
    : found.seems_answered ? `${plural(found.answers.length, "answer")}, the best first.`
    : "Nothing here seems to answer this; the nearest:";
  say(found.notes.join("; "));
}

let oldest = null;
async function list(more = false) {
  const query = new URLSearchParams({ type: byId("kind").value, limit: "30" });
  if (byId("part").value) query.set("text", byId("part").value);
  if (more && oldest !== null) query.set("before", oldest);
  const found = await call(`/api/engrams?${query}`);
  const cards = found.engrams.map((one) => card(one));
  if (more) byId("engrams-list").append(...cards);
  else byId("engrams-list").replaceChildren(...cards);
  if (!more) byId("engrams-note").textContent = `${plural(found.count, "engram")}, the newest first.`;
  oldest = found.engrams.length ? found.engrams[found.engrams.length - 1].id : null;
  byId("more").hidden = found.count <= found.engrams.length || oldest === 0;
}

async function timeline() {
  const { steps } = await call("/api/timeline?limit=200");
  const most = Math.max(1, ...steps.map((one) => one.living ?? 0));
  byId("steps").replaceChildren(...steps.reverse().map((one) => {
    const row = element("tr");
    const told = [one.step, (one.time ?? "").replace("T", " ").slice(0, 16), one.added, one.reminded, one.forgotten];
    for (const value of told) row.append(element("td", "", value ?? ""));
    const living = element("td", "");
    const bar = element("span", "bar");
    bar.style.width = `${Math.round(60 * (one.living ?? 0) / most)}px`;
    living.append(bar, String(one.living ?? ""));
    row.append(living);
    return row;
  }));
}

async function map() {
  byId("map-note").textContent = "The map is being drawn…";
  const frame = byId("report");
  try {
    const { url } = await call("/api/report");
    if (frame.getAttribute("src") !== `${url}#engrams`) frame.src = `${url}#engrams`;
    frame.hidden = false;
    byId("map-note").textContent = "The map and the graph are those of the report.";
  } catch (error) {
    byId("map-note").textContent = "";
    throw error;
  }
}

const VIEWS = { answers: null, engrams: list, timeline, map };

function show(view, focus = false) {
  for (const name of Object.keys(VIEWS)) {
    const here = name === view;
    byId(name).hidden = !here;
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
    if (here && focus) tab.focus();
  }
}

const names = Object.keys(VIEWS);
for (const name of names) {
  const tab = byId(`tab-${name}`);
  const open = (focus) => {
    show(name, focus);
    if (VIEWS[name]) attempt(() => VIEWS[name]());
  };
  tab.addEventListener("click", () => open(false));
  tab.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const next = names[(names.indexOf(name) + move + names.length) % names.length];
    byId(`tab-${next}`).click();
    byId(`tab-${next}`).focus();
  });
}

const onSubmit = (id, work) => byId(id).addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(work);
});
onSubmit("ask", ask);
onSubmit("find", () => list());
onSubmit("remember", async () => {
  const body = { text: byId("remember-text").value };
  if (byId("remember-source").value) body.source = byId("remember-source").value;
  const made = await call("/api/remember", body);
  byId("remember-text").value = "";
  await refresh();
  await list();
  say(`${plural(made.ids.length, "engram")} remembered`);
});
onSubmit("unlock", async () => {
  sessionStorage.setItem(TOKEN, byId("token").value.trim());
  byId("token").value = "";
  lock();
  await refresh();
  say("");
});
byId("more").addEventListener("click", () => attempt(() => list(true)));
byId("undo").addEventListener("click", () => attempt(async () => {
  const plan = await call("/api/undo");
  const words = `Undo ${plan.commands.join(", ")}, back to step ${plan.step}? What is undone is gone for good.`;
  if (!await sure("Undo the last command?", words, "Undo")) return;
  const done = await call("/api/undo", {});
  await refresh();
  if (!byId("engrams").hidden) await list();
  if (!byId("timeline").hidden) await timeline();
  say(`undone: ${done.commands.join(", ")}`);
}));

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
const showTheme = () => byId("theme").setAttribute("aria-pressed", String(isDark()));
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
prefersDark.addEventListener("change", showTheme);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) attempt(refresh);
});

/* Now and then, whether another program has changed the memory; answers stay as they were asked. */
async function look() {
  const busy = document.hidden || document.body.hasAttribute("aria-busy") || document.querySelector("dialog[open]");
  if (busy) return;
  const before = known;
  let memory;
  try {
    memory = await call("/api/memory");
  } catch {
    return; /* whoever asks next is told */
  }
  if (known !== before || memory.digest === known) return;
  const others = known !== null;
  known = memory.digest;
  describe(memory);
  if (!byId("engrams").hidden) await attempt(() => list());
  if (!byId("timeline").hidden) await attempt(timeline);
  if (others) say("another program has changed the memory");
}
setInterval(look, 3000);

showTheme();
lock();
attempt(refresh).then(() => { document.documentElement.dataset.ready = "yes"; });
