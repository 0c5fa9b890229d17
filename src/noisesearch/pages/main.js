// The page of a run as a whole: pairs of all prompts, curves, sets, keys.

const pairs = document.getElementById("pairs");

function pairButton(pair, i) {
  const gain = pair.kept ? "baseline kept" : shown(pair.gain, true);
  return make("button", {
    type: "button", "data-search": i, "aria-label": `${pair.name}: ${gain}`,
    onclick: () => { showPrompt(i); document.getElementById("prompt").scrollIntoView(); },
  },
  make("span", { class: "two" }, ...[pair.base, pair.win].map((stored) => picture(stored && webp(stored), "", { loading: "lazy" }))),
  make("span", { class: "name" }, pair.name),
  make("span", { class: `gain ${pair.gain > 0 ? "good" : pair.gain < 0 ? "bad" : ""}` }, gain));
}

function fillPairs() {
  const words = document.getElementById("find").value.trim().toLowerCase();
  const order = document.getElementById("order").value;
  const found = overview.searches.map((pair, i) => [pair, i]).filter(([pair]) => pair.name.toLowerCase().includes(words));
  const sign = { most: -1, least: 1 }[order];
  if (sign) found.sort(([a], [b]) => sign * ((a.gain ?? 0) - (b.gain ?? 0)));
  pairs.replaceChildren(...found.map(([pair, i]) => pairButton(pair, i)));
  document.getElementById("found").textContent = words ? count(found.length, "prompt") : "";
}

function fillCurves() {
  if (!overview.curves.length) return;
  const box = make("div", { class: "charts" }, ...overview.curves.map(meanGain));
  document.getElementById("curves").append(
    make("h3", {}, "Mean gain of the best so far, with its 95 % interval; held-out scores dashed"), box);
}

function fillSets() {
  const sets = overview.sets;
  if (!sets) return;
  const grid = (places) => make("div", { class: "set" }, ...places.map(([search, i]) => {
    const data = block(search);
    data.number = search;
    return make("button", { type: "button", "aria-label": `${overview.searches[search].name}: ${sentence(data, i)}`, onclick: () => openCandidate(data, i) },
      picture(pictureOf(data, i), ""));
  }));
  document.getElementById("sets").append(make("h3", {}, "The whole set"), make("div", { class: "both" },
    make("div", {}, make("p", {}, `Without search: ${shown(sets.baseline)}`), grid(sets.without)),
    make("div", {}, make("p", {}, `With search: ${shown(sets.winner)}`), grid(sets.with))));
}

document.addEventListener("keydown", (event) => {
  const step = { j: 1, k: -1 }[event.key];
  if (!step || dialog.open || event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const next = chosen + step;
  if (next >= 0 && next < overview.searches.length) showPrompt(next);
});

fillCurves();
fillSets();
if (pairs) {
  fillPairs();
  document.getElementById("find").addEventListener("input", fillPairs);
  document.getElementById("order").addEventListener("change", fillPairs);
}
showPrompt(0);
