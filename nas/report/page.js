"use strict";
// Pointing at a mark, or reaching it by keyboard, shows its text and lights up all that belongs to the same network.
const tip = document.getElementById("tip");

function light(key, on) {
  if (!key) return;
  for (const each of document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)) each.classList.toggle("lit", on);
}

function show(mark) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const at = mark.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const left = Math.min(Math.max(8, at.left + at.width / 2 - tip.offsetWidth / 2), width - tip.offsetWidth - 8);
  const above = at.top - tip.offsetHeight - 8;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above > 4 ? above : at.bottom + 8) + window.scrollY}px`;
  light(mark.dataset.key, true);
}

function hide(mark) {
  tip.hidden = true;
  light(mark.dataset.key, false);
}

for (const mark of document.querySelectorAll(".mark")) {
  mark.addEventListener("pointerenter", () => show(mark));
  mark.addEventListener("pointerleave", () => hide(mark));
  mark.addEventListener("focus", () => show(mark));
  mark.addEventListener("blur", () => hide(mark));
}
for (const row of document.querySelectorAll("tr[data-key]")) {
  row.addEventListener("pointerenter", () => light(row.dataset.key, true));
  row.addEventListener("pointerleave", () => light(row.dataset.key, false));
}
