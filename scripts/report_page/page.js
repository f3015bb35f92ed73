"use strict";
const images = JSON.parse(document.getElementById("images").textContent);
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const REDUCED = 160;  // pixels; up to there the list needs no whole pictures

// Pictures. One shown at twice its size or more keeps its pixels, so that they can be judged.
function sharpen(image) {
  const box = Math.min(image.clientWidth, image.clientHeight);
  image.classList.toggle("pixels", box >= 2 * Math.max(image.naturalWidth, image.naturalHeight));
}
function fill(within) {
  for (const image of all("img[data-image]", within)) {
    image.onload = () => sharpen(image);
    image.src = images[image.dataset.image];
  }
}
// Show the whole picture, or the reduced one where the run's own file cannot be shown from here.
function showWhole(image, whole, reduced, failed) {
  image.onload = () => sharpen(image);
  image.onerror = () => { image.onerror = null; image.src = reduced; failed?.(); };
  image.src = images[whole] || whole;
}
fill(document);

// Filter and order.
const body = find("#runs tbody");
const rows = all("tr", body).map((element) => ({
  element,
  run: element.dataset.run,
  sort: JSON.parse(element.dataset.sort),
  flags: JSON.parse(element.dataset.flags),
  text: element.dataset.text.toLowerCase(),
}));
const form = find("form.tools"), filter = find("#filter"), sortSelect = find("#sort"), orderButton = find("#order");
const choices = all("select[data-key]", form);
let order = { key: "name", down: false };

function valueOf(row, key) {
  return key.startsWith("flag ") ? row.flags[key.slice(5)] : row.sort[key];
}
function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every((word) => row.text.includes(word))
      && choices.every((choice) => !choice.value || valueOf(row, choice.dataset.key) === choice.value);
    row.element.hidden = !fits;
    shown += fits;
  }
  for (const choice of choices) choice.classList.toggle("set", choice.value !== "");
  find("#nothing").hidden = shown > 0;
  find("#count").textContent = `${shown} of ${rows.length} shown`;
}
function compare(one, other) {
  const [a, b] = [one.sort[order.key], other.sort[order.key]];
  const [noA, noB] = [a === null || a === undefined, b === null || b === undefined];
  if (noA || noB) return noA - noB;  // what is missing goes to the end, whatever the order
  const sign = order.down ? -1 : 1;
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}
function applyOrder() {
  rows.sort((one, other) => compare(one, other) || one.run - other.run);
  body.append(...rows.map((row) => row.element));
  const direction = order.down ? "descending" : "ascending";
  for (const head of all("thead [data-key]")) {
    if (head.dataset.key === order.key) head.dataset.order = direction;
    else delete head.dataset.order;
  }
  for (const cell of all("#runs > thead th")) {
    if (cell.dataset.order || find("[data-order]", cell)) cell.setAttribute("aria-sort", direction);
    else cell.removeAttribute("aria-sort");
  }
  sortSelect.value = order.key;
  orderButton.textContent = order.down ? "↓" : "↑";
  orderButton.setAttribute("aria-label", `Order: ${direction}`);
}
function sortBy(key, down) {
  order = { key, down };
  applyOrder();
}
filter.addEventListener("input", applyFilter);
filter.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { filter.value = ""; applyFilter(); }
});
for (const choice of choices) choice.addEventListener("change", applyFilter);
for (const head of all("thead [data-key]")) {
  (head.matches("button") ? head : find("button", head)).addEventListener("click", () => {
    sortBy(head.dataset.key, order.key === head.dataset.key && !order.down);
  });
}
sortSelect.addEventListener("change", () => sortBy(sortSelect.value, false));
orderButton.addEventListener("click", () => sortBy(order.key, !order.down));
find("#size").addEventListener("input", (event) => {
  document.documentElement.style.setProperty("--side", `${event.target.value}px`);
  const large = Number(event.target.value) > REDUCED;
  for (const image of all("#runs img")) {
    if (large) showWhole(image, image.dataset.whole, images[image.dataset.image]);
    sharpen(image);
  }
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => {
  document.documentElement.style.removeProperty("--side");
  sortBy("name", false);
  applyFilter();
}));

// One run, large.
const dialog = find("#view"), content = find(".body", dialog);
let current = null, opener = null;

function show(button) {
  const image = find(".large img", content), caption = find(".large figcaption", content);
  image.alt = caption.textContent = button.dataset.caption;
  showWhole(image, button.dataset.whole, find("img", button).src, () => {
    caption.textContent += " (reduced: the run's own file cannot be shown from here)";
  });
  all("[aria-current]", content).forEach((element) => element.removeAttribute("aria-current"));
  button.setAttribute("aria-current", "true");
}
function openRun(row, name) {
  current = row;
  find("#view-title").textContent = find(".name", row.element).textContent;
  content.replaceChildren(find(`template[data-run="${row.run}"]`).content.cloneNode(true));
  fill(content);
  for (const button of all("button.picture", content)) button.addEventListener("click", () => show(button));
  if (!dialog.open) dialog.showModal();
  content.scrollTop = 0;
  const wanted = all(".strip button", content).find((button) => button.dataset.name === name);
  const best = ["finished_a2b", "finished_b2a", "real_a2b"].map((each) => find(`[data-name="${each}"]`, content));
  const first = wanted || best.find(Boolean) || find("button.picture", content);
  if (first) show(first);
  else find(".view", content).hidden = true;
  if (wanted) wanted.focus();
  if (name === "losses") find("#losses", content)?.scrollIntoView();
}
function step(direction) {
  const shown = rows.filter((row) => !row.element.hidden);
  const next = shown[shown.indexOf(current) + direction];
  const name = find('.strip [aria-current="true"]', content)?.dataset.name;
  if (next) openRun(next, name);
}
for (const row of rows) {
  for (const button of all("[data-open]", row.element)) {
    button.addEventListener("click", () => { opener = button; openRun(row, button.dataset.open); });
  }
}
find("#close").addEventListener("click", () => dialog.close());
find("#previous").addEventListener("click", () => step(-1));
find("#next").addEventListener("click", () => step(1));
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => { content.replaceChildren(); opener?.focus(); });
dialog.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
  const buttons = all("button.picture", content);
  const at = buttons.findIndex((button) => button.getAttribute("aria-current") === "true");
  const next = buttons[at + (event.key === "ArrowRight" ? 1 : -1)];
  if (next) { show(next); next.focus(); event.preventDefault(); }
});

applyOrder();
applyFilter();
