"use strict";
// Filters, players inside of panels, and a key to close these. Without this script, all is shown.

const filters = document.getElementById("filters");
const SORTS = ["protocol", "system", "train", "test"];
const SELECTOR = SORTS.map(sort => `[data-${sort}]`).join();

function filter() {
  const wanted = Object.fromEntries(new FormData(filters));
  const differs = (element, sort) =>
    wanted[sort] && sort in element.dataset && !element.dataset[sort].split(" ").includes(wanted[sort]);
  for (const element of document.querySelectorAll(SELECTOR)) {
    element.classList.toggle("off", SORTS.some(sort => differs(element, sort)));
  }
  const chosen = [...filters.querySelectorAll("select")].filter(select => select.value);
  filters.querySelector("output").textContent = chosen.length
    ? `Shown: ${chosen.map(select => `${select.dataset.words} ${select.selectedOptions[0].text}`).join(", ")}. Means and figures of several stay those of all.`
    : "";
  filters.querySelector("[type=reset]").hidden = !chosen.length;
}

// A sound is in the page once: a panel takes a copy of its player when it is opened.
function fill(panel) {
  for (const trial of panel.querySelectorAll("[data-sound]")) {
    const player = document.getElementById(trial.dataset.sound).querySelector(".player");
    trial.querySelector(".player").replaceWith(player.cloneNode(true));
    trial.querySelector("audio").preload = "auto";
    delete trial.dataset.sound;
  }
}

function opened() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (const audio of document.querySelectorAll(".panel audio")) audio.pause();
  return target?.matches(".panel") ? target : null;
}

function open() {
  const panel = opened();
  if (panel) {
    fill(panel);
    panel.focus();
  }
}

if (filters) {
  filters.hidden = false;
  filters.addEventListener("input", filter);
  filters.addEventListener("reset", () => setTimeout(filter));
  filter(); // a browser may remember what was chosen
}
addEventListener("hashchange", open);
addEventListener("keydown", event => {
  if (event.key === "Escape") opened()?.querySelector(".close").click();
});
open();
