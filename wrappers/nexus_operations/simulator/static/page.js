"use strict";

const EVERY = 1000; // milliseconds between two looks
const RUNNING = ["Queued", "Running"];
const ENDINGS = { finish: "Finished", fail: "Errored", cancel: "Cancelled" };
const rows = new Map();

const byId = (id) => document.getElementById(id);

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

async function send(method, path, body) {
  const answer = await fetch(`/_simulator/${path}`, { method, body: JSON.stringify(body) });
  byId("failure").textContent = answer.ok ? "" : (await answer.json()).message;
  await refresh();
}

function newRow(id) {
  const row = element("tr");
  const cells = {
    status: element("span"),
    bar: element("progress"),
    counts: element("td"),
    buttons: element("td"),
  };
  for (const [word, outcome] of Object.entries(ENDINGS)) {
    const button = element("button", word);
    button.addEventListener("click", () => send("POST", "ends", { op_id: id, outcome }));
    cells.buttons.append(button, " ");
  }
  const status = element("td");
  status.append(cells.status);
  const bar = element("td");
  bar.append(cells.bar);
  row.append(element("td", id), status, bar, cells.counts, cells.buttons);
  row.dataset.id = id;
  byId("operations").prepend(row);
  return { row, ...cells };
}

function show(operation) {
  const { id, status } = operation;
  if (!rows.has(id)) rows.set(id, newRow(id));
  const { row, status: badge, bar, counts, buttons } = rows.get(id);
  const numbers = status.progress.withStatus;
  const total = Object.values(numbers).reduce((sum, n) => sum + n, 0);
  row.dataset.status = status.overview;
  row.title = status.message;
  badge.textContent = status.overview;
  badge.className = `status ${status.overview}`;
  bar.max = total || 1;
  bar.value = numbers.Finished + numbers.Cancelled + numbers.Errored;
  const some = Object.entries(numbers).filter(([, n]) => n);
  counts.textContent = some.map(([word, n]) => `${n} ${word}`).join(", ");
  for (const button of buttons.children) button.hidden = !RUNNING.includes(status.overview);
}

async function refresh() {
  const state = await (await fetch("/_simulator/state")).json();
  state.operations.forEach(show);
  const known = new Set(state.operations.map(({ id }) => id));
  for (const [id, { row }] of rows) {
    if (!known.has(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  byId("requests").textContent = state.requests;
  byId("none").hidden = known.size > 0;
  byId("trouble").latency.value = String(state.latency);
  const running = state.operations.filter(({ status }) => RUNNING.includes(status.overview));
  const ids = running.map(({ id }) => id).join(" ") || "OP";
  byId("command").textContent =
    `export DATATURE_API_BASE_URL=${location.origin} NEXUS_SECRET=any NEXUS_PROJECT=proj_simulated\n` +
    `nexus-operations wait ${ids}`;
}

byId("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const life = {
    duration: Number(form.get("duration")),
    items: Number(form.get("items")),
    outcome: form.get("outcome"),
  };
  send("POST", "operations", { life });
});
byId("trouble").addEventListener("change", (event) => {
  if (event.target.name === "latency") {
    send("PUT", "latency", { seconds: Number(event.target.value) });
  }
});
for (const button of document.querySelectorAll("[data-trouble]")) {
  button.addEventListener("click", () => send("POST", "troubles", [JSON.parse(button.dataset.trouble)]));
}

(async function look() {
  try {
    await refresh();
  } catch (error) {
    byId("failure").textContent = `The simulator does not answer: ${error.message}`;
  }
  setTimeout(look, EVERY);
})();
