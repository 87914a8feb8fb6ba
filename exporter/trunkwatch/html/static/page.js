// Without this file the pages work too: it reloads them, shows a cell's details, moves between
// cells with the arrow keys and submits the filters.
"use strict";

const SECONDS = Number(document.body.dataset.reload || 0);
const PEEK_DELAY = 150;
const MAX_BUSY = 5; // answers "too many pages at once" in a row
let tag = null, peeked = new Map(), timer = 0, busy = 0;

// ---------------------------------------------------------------- reload

async function reload() {
  if (document.hidden || document.activeElement?.closest(".filters")) return;
  try {
    const answer = await fetch(location.href, { cache: "no-cache" });
    if (answer.status === 503 && busy++ < MAX_BUSY) return void setTimeout(reload, 1000);
    if (!answer.ok) throw new Error(String(answer.status));
    const newest = answer.headers.get("ETag");
    if (newest !== tag) replace(await answer.text());
    tag = newest;
    busy = 0;
    document.getElementById("lost")?.remove();
  } catch (error) {
    lost();
  }
}

function replace(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const scroll = [...document.querySelectorAll(".scroll")].map((e) => [e.scrollLeft, e.scrollTop]);
  const focused = document.activeElement?.getAttribute?.("href");
  hide();
  peeked.clear();
  document.title = fresh.title;
  document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
  [...document.querySelectorAll(".scroll")].forEach((e, n) => {
    if (scroll[n]) [e.scrollLeft, e.scrollTop] = scroll[n];
  });
  prepare();
  const again = focused && document.querySelector(`main a[href="${CSS.escape(focused)}"]`);
  if (again) again.focus({ preventScroll: true });
}

// What cannot be reloaded is out of date: nothing on it may look well.
function lost() {
  if (document.getElementById("lost")) return;
  const note = document.createElement("p");
  note.id = "lost";
  note.setAttribute("role", "alert");
  note.textContent = `Not reloaded since ${new Date().toLocaleTimeString()}: Trunkwatch does not answer.`;
  document.body.prepend(note);
}

// ---------------------------------------------------------------- details of a cell

function hide() {
  clearTimeout(timer);
  document.getElementById("peek")?.remove();
}

function peek(cell) {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const address = `${cell.href}&details=1`;
    if (!peeked.has(address)) {
      const answer = await fetch(address).catch(() => null);
      if (!answer?.ok) return;
      peeked.set(address, await answer.text());
    }
    if (!cell.isConnected || !(cell.matches(":hover") || cell === document.activeElement)) return;
    show(cell, peeked.get(address));
  }, PEEK_DELAY);
}

function show(cell, text) {
  hide();
  const box = document.createElement("div");
  box.id = "peek";
  box.setAttribute("role", "status");
  box.innerHTML = text; // escaped by the server's templates; the policy of the page runs no script
  document.body.append(box);
  const at = cell.getBoundingClientRect();
  const left = Math.min(at.left, innerWidth - box.offsetWidth - 8);
  const below = at.bottom + 6;
  const top = below + box.offsetHeight > innerHeight ? at.top - box.offsetHeight - 6 : below;
  box.style.left = `${Math.max(8, left) + scrollX}px`;
  box.style.top = `${Math.max(8, top) + scrollY}px`;
}

// ---------------------------------------------------------------- keyboard and filters

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function move(event) {
  const cell = event.target.closest?.(".grid td a");
  if (event.key === "Escape") hide();
  if (!cell || !MOVES[event.key]) return;
  event.preventDefault();
  const [down, right] = MOVES[event.key];
  const rows = [...cell.closest("table").rows];
  let row = rows.indexOf(cell.closest("tr"));
  let column = cell.closest("td").cellIndex;
  for (;;) {
    row += down;
    column += right;
    if (!rows[row] || column < 1 || column > cell.closest("tr").cells.length) return;
    const next = rows[row].cells[column]?.querySelector("a");
    if (!next || next.closest("th")) continue;
    next.focus();
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
    return;
  }
}

// One cell of a row is reached by Tab, the others by the arrows.
function prepare() {
  for (const row of document.querySelectorAll(".grid tr")) {
    row.querySelectorAll("td a").forEach((cell, n) => n && (cell.tabIndex = -1));
  }
}

document.addEventListener("keydown", move);
document.addEventListener("pointerover", (event) => {
  const cell = event.target.closest?.(".grid td a");
  const focused = document.activeElement?.matches(".grid td a"); // its details stay
  if (cell) peek(cell);
  else if (!focused && !event.target.closest?.("#peek")) hide();
});
document.addEventListener("focusin", (event) => {
  const cell = event.target.closest?.(".grid td a");
  if (cell) peek(cell);
  else hide();
});
document.addEventListener("change", (event) => {
  if (event.target.matches(".filters select")) event.target.form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
// A page from the history has its fields disabled still.
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll(".filters [disabled]")) field.disabled = false;
});
prepare();
if (SECONDS) {
  setInterval(reload, SECONDS * 1000);
  document.addEventListener("visibilitychange", reload);
}
