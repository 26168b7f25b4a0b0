"use strict";

const EVERY = 1000; // milliseconds between two refreshes
const IDS_IN_COMMAND = 20;
const RUNNING = ["Queued", "Running"];
const ENDINGS = { finish: "Finished", fail: "Errored", cancel: "Cancelled" };
const rows = new Map();
let unreachable = false;

const byId = (id) => document.getElementById(id);

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

function tell(done, failure = "") {
  byId("done").textContent = done;
  byId("failure").textContent = failure;
}

// Send a wish and say what came of it; the button cannot be pressed twice meanwhile.
async function send(button, done, method, path, body) {
  if (button) button.disabled = true;
  try {
    const answer = await fetch(`/_simulator/${path}`, { method, body: JSON.stringify(body) });
    if (answer.ok) tell(done);
    else tell("", (await answer.json()).message);
    await refresh();
  } catch (error) {
    tell("", `The simulator does not answer: ${error.message}`);
    unreachable = true;
  } finally {
    if (button) button.disabled = false;
  }
}

function newRow(id) {
  const row = element("tr");
  const cells = {
    badge: element("span"),
    message: element("p", "", "message"),
    bar: element("progress"),
    counts: element("p", "", "message"),
    buttons: element("td"),
  };
  for (const [word, outcome] of Object.entries(ENDINGS)) {
    const button = element("button", word);
    button.setAttribute("aria-label", `${word} ${id}`);
    button.addEventListener("click", () =>
      send(button, `${id}: ${outcome}`, "POST", "ends", { op_id: id, outcome }));
    cells.buttons.append(button, " ");
  }
  const status = element("td");
  status.append(cells.badge, cells.message);
  const progress = element("td");
  cells.bar.setAttribute("aria-label", `progress of ${id}`);
  progress.append(cells.bar, cells.counts);
  row.append(element("td", id), status, progress, cells.buttons);
  row.dataset.id = id;
  byId("operations").prepend(row);
  return { row, ...cells };
}

function show(operation) {
  const { id, status } = operation;
  if (!rows.has(id)) rows.set(id, newRow(id));
  const { row, badge, message, bar, counts, buttons } = rows.get(id);
  const text = JSON.stringify(status);
  if (row.dataset.shown === text) return;
  row.dataset.shown = text;
  const numbers = status.progress.withStatus;
  const total = Object.values(numbers).reduce((sum, n) => sum + n, 0);
  row.dataset.status = status.overview;
  badge.textContent = status.overview;
  badge.className = `status ${status.overview}`;
  message.textContent = status.message;
  bar.max = total || 1;
  bar.value = numbers.Finished + numbers.Cancelled + numbers.Errored;
  const some = Object.entries(numbers).filter(([, n]) => n);
  counts.textContent = `${some.map(([word, n]) => `${n} ${word}`).join(", ")} (${status.progress.unit})`;
  for (const button of buttons.children) button.hidden = !RUNNING.includes(status.overview);
}

function showCommand(operations) {
  const running = operations.filter(({ status }) => RUNNING.includes(status.overview));
  const ids = running.slice(-IDS_IN_COMMAND).map(({ id }) => quoted(id)).join(" ") || "OP";
  byId("command").textContent =
    `export DATATURE_API_BASE_URL=${location.origin} NEXUS_SECRET=any NEXUS_PROJECT=proj_simulated\n` +
    `nexus-operations wait ${ids}`;
}

async function refresh() {
  const state = await (await fetch("/_simulator/state")).json();
  if (unreachable) tell("The simulator answers again.");
  unreachable = false;
  state.operations.forEach(show);
  const known = new Set(state.operations.map(({ id }) => id));
  for (const [id, { row }] of rows) {
    if (!known.has(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  const total = Object.values(state.counts).reduce((sum, n) => sum + n, 0);
  byId("requests").textContent = state.requests;
  byId("counts").textContent = Object.entries(state.counts).map(([word, n]) => `${n} ${word}`).join(", ");
  byId("more").textContent = total > known.size ? `and ${total - known.size} older ones` : "";
  byId("none").hidden = known.size > 0;
  byId("trouble").latency.value = String(state.latency);
  showCommand(state.operations);
}

byId("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const life = {
    duration: Number(form.get("duration")),
    items: Number(form.get("items")),
    outcome: form.get("outcome"),
  };
  send(event.submitter, "Started.", "POST", "operations", { life });
});
byId("trouble").addEventListener("change", (event) => {
  if (event.target.name === "latency") {
    const seconds = Number(event.target.value);
    send(null, `Each answer takes ${seconds} s from now on.`, "PUT", "latency", { seconds });
  }
});
for (const button of document.querySelectorAll("[data-trouble]")) {
  button.addEventListener("click", () =>
    send(button, `Next: ${button.textContent}.`, "POST", "troubles", [JSON.parse(button.dataset.trouble)]));
}

(async function again() {
  try {
    await refresh();
  } catch (error) {
    tell("", `The simulator does not answer: ${error.message}`);
    unreachable = true;
  }
  setTimeout(again, EVERY);
})();
