// What lies over the page: the picture at the pointer, and the window of one candidate.

const tip = document.getElementById("tip");

function showTip(data, i, x, y) {
  tip.replaceChildren(
    picture(pictureOf(data, i), ""),
    make("div", {}, make("p", {}, make("strong", {}, title(data, i))), ...overview.parts
      .filter((part) => data.numbers[part][i] !== null)
      .map((part) => make("p", {}, `${part} ${shown(data.numbers[part][i])}`)),
    ...Object.keys(data.missing[i] ?? {}).map((part) => make("p", {}, `${part} missing`)),
    make("p", {}, `${shown(data.nfe[i])} NFE, ${shown(data.seconds[i])} s`)),
    make("p", { class: "recipe" }, data.recipes[i]),
  );
  tip.hidden = false;
  const left = Math.min(x + 14, scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = y + 14 + tip.offsetHeight < scrollY + innerHeight;
  tip.style.left = `${Math.max(scrollX + 8, left)}px`;
  tip.style.top = `${below ? y + 14 : y - 14 - tip.offsetHeight}px`;
}

function hideTip() {
  tip.hidden = true;
}

const dialog = document.getElementById("candidate");

/** The scores of some candidates as columns beside the baseline's, the last with its gain. */
function scores(data, i) {
  const rows = overview.parts.map((part) => {
    const [before, after] = [data.numbers[part][data.base], data.numbers[part][i]];
    const gain = before === null || after === null || i === data.base ? null : after - before;
    const why = (data.missing[i] ?? {})[part];
    return make("tr", {}, make("th", { scope: "row" }, part),
      make("td", {}, part === OBJECTIVE ? "" : overview.roles[part]),
      make("td", { class: "n" }, shown(before)),
      make("td", { class: "n", title: why ?? false }, why ? "missing" : shown(after)),
      make("td", { class: `n gain ${gain > 0 ? "good" : gain < 0 ? "bad" : ""}` }, shown(gain, true)));
  });
  const head = ["score", "role", "baseline", i === data.wins[0] ? "winner" : "this one", "gain"];
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Scores" },
    make("table", {}, make("thead", {}, make("tr", {}, ...head.map((word, k) =>
      make("th", { scope: "col", class: k > 1 ? "n" : false }, word)))), make("tbody", {}, ...rows)));
}

/** Text to copy, in a box. */
function codeBox(text) {
  return make("div", { class: "code" }, make("pre", { tabindex: 0 }, make("code", {}, text)),
    make("button", { type: "button", class: "copy" }, "Copy"));
}

function openCandidate(data, i) {
  hideTip();
  const go = (k) => openCandidate(data, (k + data.keys.length) % data.keys.length);
  const large = i === data.base || i === data.wins[0];
  const pair = overview.searches[data.number];
  const stored = large ? (i === data.base ? pair.base : pair.win) : null;
  const source = stored ? webp(stored) : pictureOf(data, i);
  const from = data.parents[i];
  // The buttons are made anew, and the keyboard stays on the one that was pressed.
  const pressed = dialog.contains(document.activeElement) ? document.activeElement.ariaLabel : null;
  dialog.replaceChildren(
    make("div", { class: "bar" },
      make("h2", { id: "candidate-title" }, title(data, i)),
      make("div", {},
        make("button", { type: "button", onclick: () => go(i - 1), "aria-label": "Previous candidate" }, "←"), " ",
        make("button", { type: "button", onclick: () => go(i + 1), "aria-label": "Next candidate" }, "→"), " ",
        make("button", { type: "button", onclick: () => dialog.close() }, "Close"))),
    make("div", { class: "two" },
      make("div", {}, picture(source, sentence(data, i)),
        source === null ? "" : make("p", { class: "small" }, make("a", { href: fileOf(data, i) }, "The file in the run folder"))),
      make("div", {}, scores(data, i),
        ...Object.entries(data.missing[i] ?? {}).map(([part, why]) => make("p", { class: "small" }, `${part} is missing: ${why}.`)),
        data.outside.has(i) ? make("p", { class: "small" }, "It breaks a bound, or a cascade let it go.") : "",
        make("p", {}, `Answered at ${shown(data.nfe[i])} NFE and ${shown(data.seconds[i])} seconds.`,
          from === null ? "" : make("span", {}, " Made from ", make("button", { type: "button", onclick: () => go(from) }, title(data, from)), ".")),
        make("p", { class: "small" }, "Recipe"), codeBox(data.recipes[i]),
        make("p", { class: "small" }, "Key"), codeBox(data.keys[i]))),
  );
  dialog.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) go(i + step);
  };
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector(`[aria-label="${pressed}"]`) ?? dialog.querySelector("button")).focus();
  say(sentence(data, i));
}

dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
