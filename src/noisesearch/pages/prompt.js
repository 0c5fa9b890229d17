// One prompt: its pair, its scores, its search.

const STRIP = 240; // candidates that are shown before the rest is asked for
const detail = document.getElementById("detail");
let axis = "NFE";
let chosen = 0;

/** What was best of the first 1, 2, 4, 8, … that the search made: [candidate, of how many at first
 * and at last], and the winner; without those that are no search. */
function milestones(data) {
  const plain = new Set(data.unsearched.map(([i]) => i));
  const apart = data.kinds.includes("d"); // what is searched are drafts, and the baseline is none
  const own = [...data.keys.keys()].filter((i) => "sd".includes(data.kinds[i]) || (i === data.base && !apart));
  const values = data.numbers[OBJECTIVE] ?? [];
  const found = [];
  let best = null;
  own.forEach((i, before) => {
    if ((values[i] ?? null) !== null && (best === null || values[i] > values[best])) best = i;
    const size = before + 1;
    if (best === null || plain.has(best) || (Math.log2(size) % 1 && size < own.length)) return;
    if (best === found.at(-1)?.[0]) found.at(-1)[2] = size;
    else found.push([best, size, size]);
  });
  const winner = data.wins[0];
  const there = plain.has(winner) || found.some(([i]) => i === winner);
  return there ? found : [...found, [winner, own.length, own.length]];
}

/** As in the paper's figures: one noise in more and more steps, then more and more search. */
function paperRow(data) {
  const card = (i, name, words) => make("button", { type: "button", onclick: () => openCandidate(data, i) },
    picture(pictureOf(data, i), sentence(data, i)), make("span", {}, name), make("br"), make("span", { class: "small" }, words));
  const left = data.unsearched.map(([i, words]) => card(i, words, i !== data.base ? "the same noise" : i === data.wins[0] ? "baseline, kept" : "baseline"));
  const right = milestones(data).map(([i, first, last]) =>
    card(i, i === data.wins[0] ? "winner" : `best of ${first === last ? first : `${first} to ${last}`}`, `${shown(data.nfe[i])} NFE`));
  const divide = left.length && right.length ? [make("span", { class: "divide", "aria-hidden": "true" })] : [];
  return left.length + right.length < 2 ? []
    : [make("h3", {}, data.unsearched.length > 1 ? "More steps on the left, more search on the right" : "More search to the right: the best so far by value, and the winner"),
      make("div", { class: "row" }, ...left, ...divide, ...right)];
}

function strip(data) {
  const box = make("div", { class: "strip" });
  const order = make("select", {}, make("option", { value: "" }, "as they were made"),
    ...overview.parts.map((part) => make("option", { value: part }, `best ${part} first`)));
  const more = make("button", { type: "button" });
  function fill(most) {
    const part = order.value;
    const all = [...data.keys.keys()];
    if (part) all.sort((a, b) => (data.numbers[part][b] ?? -Infinity) - (data.numbers[part][a] ?? -Infinity));
    const lead = part || overview.parts[0];
    box.replaceChildren(...all.slice(0, most).map((i) => make("button", { type: "button", "aria-label": sentence(data, i), onclick: () => openCandidate(data, i) },
      picture(pictureOf(data, i), ""), make("span", {}, `${i + 1}: ${shown(data.numbers[lead][i])}`))));
    more.hidden = all.length <= most;
    more.textContent = `Show all ${all.length}`;
  }
  order.addEventListener("change", () => fill(STRIP));
  more.addEventListener("click", () => fill(Infinity));
  fill(STRIP);
  return [make("div", { class: "bar" }, make("label", {}, "Order ", order), more), box];
}

/** A drawn key for what the charts show, of what is there. */
function legend(data) {
  const swatch = (cls, d) => make("svg", { viewBox: "0 0 22 12", "aria-hidden": "true" }, make("path", { class: cls, d }));
  const kinds = new Set(data.kinds);
  const dot = "M11 6h0", line = "M1 6h20";
  const rows = [
    [true, "dots", dot, "candidate"], [kinds.has("d"), "dots draft", dot, "draft"],
    [kinds.has("p"), "dots preview", dot, "preview of an unfinished one"], [kinds.has("f"), "dots final", dot, "draft, finished"],
    [data.out.length, "dots out", dot, "breaks a bound or was let go"],
    [Object.keys(data.missing).length, "lost", "M8 3l6 6m0-6l-6 6", "score missing"],
    [data.bests.length, "best", line, "best so far"],
    [data.bests.length && Object.values(overview.roles).includes("held out"), "best held", line, "held-out score of the best so far"],
    [true, "base", line, "baseline"],
  ].filter(([there]) => there);
  const ring = make("svg", { viewBox: "0 0 22 12", "aria-hidden": "true" }, make("circle", { class: "ring", cx: 11, cy: 6, r: 4.5 }));
  return make("ul", { class: "legend" }, ...rows.map(([, cls, d, words]) => make("li", {}, swatch(cls, d), words)), make("li", {}, ring, "winner"));
}

function charts(data) {
  const box = make("div", { class: "charts" });
  function fill() {
    box.querySelectorAll(".chart").forEach((chart) => chart.forget?.());
    box.replaceChildren(...overview.parts.filter((part) => data.numbers[part].some((n) => n !== null))
      .map((part) => progress(data, part, axis, data.numbers[part][data.base])));
  }
  const across = make("select", { onchange: (event) => { axis = event.target.value; fill(); } },
    ...["NFE", "seconds"].map((name) => make("option", { value: name, selected: name === axis }, name)));
  fill();
  return [make("div", { class: "bar" }, make("label", {}, "Against ", across), legend(data)), box];
}

function against(data) {
  const parts = overview.parts.filter((part) => part !== OBJECTIVE && data.numbers[part].filter((n) => n !== null).length > 1);
  if (parts.length < 2) return [];
  const [first, second] = overview.pareto.length ? overview.pareto : parts;
  const select = (value) => make("select", {}, ...parts.map((part) => make("option", { value: part, selected: part === value }, part)));
  const across = select(first), up = select(second);
  const box = make("div", {});
  function fill() {
    box.querySelector(".chart")?.forget();
    box.replaceChildren(tradeOff(data, across.value, up.value));
  }
  across.addEventListener("change", fill);
  up.addEventListener("change", fill);
  fill();
  return [make("h3", {}, data.front.length ? "What no candidate beats in every score" : "One verifier against another"),
    make("div", { class: "bar" }, make("label", {}, "Across ", across), make("label", {}, "Up ", up)), box];
}

function large(data, pair) {
  const figure = (cls, name, stored, i) => make("figure", { class: cls },
    make("button", { type: "button", onclick: () => openCandidate(data, i), "aria-label": `Open the ${name}: ${sentence(data, i)}` },
      picture(stored ? webp(stored) : null, `${name} of “${pair.name}”`, { loading: "eager" })),
    make("figcaption", {}, make("strong", {}, name), ` ${shown(data.numbers[overview.parts[0]][i])}`,
      make("br"), make("span", { class: "small" }, title(data, i))));
  return make("div", { class: "large" },
    figure("", "Baseline", pair.base, data.base),
    figure("winner", "Winner", pair.win, data.wins[0]),
    make("div", {}, scores(data, data.wins[0]),
      pair.kept ? make("p", {}, "What search came to did not beat the baseline, which is kept.") : "",
      outdone(data) ? make("p", { class: "small" }, "Ranks among the candidates compared decided, so another candidate may have a larger value of the objective.") : "",
      ...data.unmet.map((bound) => make("p", {}, `No candidate keeps ${bound}; this is the nearest.`))));
}

/** True where the winner's value is not the largest. */
function outdone(data) {
  const values = data.numbers[OBJECTIVE];
  const best = data.bests.at(-1);
  return values !== undefined && best !== undefined && values[best] > values[data.wins[0]];
}

function more(data) {
  if (data.wins.length < 2) return [];
  return [make("h3", {}, `All ${data.wins.length} winners, best first`), make("div", { class: "row" },
    ...data.wins.map((i) => make("button", { type: "button", onclick: () => openCandidate(data, i) },
      picture(pictureOf(data, i), sentence(data, i)), make("span", {}, shown(data.numbers[overview.parts[0]][i])))))];
}

/** Show one prompt below the pairs. */
function showPrompt(i) {
  chosen = i;
  const data = block(i);
  data.number = i;
  const pair = overview.searches[i];
  detail.querySelectorAll(".chart, .tree").forEach((view) => view.forget?.());
  const drawn = tree(data);
  const left = data.left_out ? ` (its last nodes; ${data.left_out} before them are in journal.jsonl)` : "";
  detail.replaceChildren(
    make("h2", {}, `“${pair.name}”`),
    ...(overview.searches.length > 1 ? [chooser(i)] : []),
    large(data, pair), ...more(data),
    ...paperRow(data),
    make("h3", {}, "Every candidate’s scores"), ...charts(data),
    ...against(data),
    ...(drawn ? [make("h3", {}, "What was made from what"), drawn] : []),
    make("h3", {}, `All ${count(data.keys.length, "candidate")}`), ...strip(data),
    make("details", {}, make("summary", {}, `The winner’s recipe${left}`), codeBox(data.recipe)),
  );
  document.querySelectorAll("#pairs button").forEach((button) => {
    if (button.dataset.search === String(i)) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
}

function chooser(i) {
  const last = overview.searches.length - 1;
  const step = (by, words) => make("button", { type: "button", disabled: i + by < 0 || i + by > last, onclick: () => showPrompt(i + by) }, words);
  const select = make("select", { "aria-label": "Prompt", onchange: (event) => showPrompt(Number(event.target.value)) },
    ...overview.searches.map((pair, k) => make("option", { value: k, selected: k === i }, pair.name)));
  return make("div", { class: "bar" }, step(-1, "← Previous"), select, step(1, "Next →"));
}
