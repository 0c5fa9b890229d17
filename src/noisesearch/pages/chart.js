// Charts: axes, and the scatter of a search's candidates with what was best so far.

const MARGIN = { left: 52, right: 14, top: 12, bottom: 34 };

/** About five round numbers between low and high. */
function ticks(low, high) {
  const span = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => span / n <= 5);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** The least and the largest, with a little room; of nothing 0 and 1. */
function extent(numbers, room = 0.06) {
  const known = numbers.filter((n) => n !== null && Number.isFinite(n));
  if (!known.length) return [0, 1];
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  const more = (high - low) * room || Math.abs(high) * 0.05 || 1;
  return [low - more, high + more];
}

/** Round numbers between low and high, each a few times the one before. */
function decades(low, high) {
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    found.push(...[1, 2, 5].map((n) => n * power).filter((n) => n >= low && n <= high));
  }
  return found;
}

/** An empty chart of a width, with axes; x and y give pixels, x by its logarithm with labels.log. */
function axes(width, height, xs, ys, labels) {
  const left = labels.left ?? MARGIN.left;
  const right = width - MARGIN.right, bottom = height - MARGIN.bottom;
  const of = labels.log ? Math.log : (n) => n;
  const x = (n) => left + ((of(n) - of(xs[0])) / (of(xs[1]) - of(xs[0]))) * (right - left);
  const y = (n) => bottom - ((n - ys[0]) / (ys[1] - ys[0])) * (bottom - MARGIN.top);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": labels.about });
  for (const n of ys === null ? [] : ticks(...ys)) {
    svg.append(make("line", { class: "grid", x1: left, x2: right, y1: y(n), y2: y(n) }),
      make("text", { x: left - 7, y: y(n) + 4, "text-anchor": "end" }, shown(Number(n.toPrecision(6)))));
  }
  let last = -Infinity;
  for (const n of labels.log ? decades(...xs) : ticks(...xs)) {
    if (x(n) - last < 34) continue; // no number over another
    last = x(n);
    svg.append(make("text", { x: x(n), y: bottom + 16, "text-anchor": "middle" }, shown(Number(n.toPrecision(6)))));
  }
  svg.append(make("text", { x: right, y: height - 3, "text-anchor": "end" }, labels.x));
  if (labels.y) svg.append(make("text", { x: left, y: height - 3 }, `↑ ${labels.y}`));
  return { svg, x, y, left, bottom, right };
}

/** Many points as one path, so that thousands are as quick as ten. */
function dots(places, kind) {
  const d = places.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
  return make("path", { class: `dots ${kind}`, d });
}

const DOTS = { b: "", s: "", d: "draft", p: "preview", f: "final" };

/** All candidates of a search; `spec` says which numbers: x and y of candidate i (null: none), what
 * the axes mean, and what else is drawn. Returns a figure that draws itself at its width. */
function scatter(data, spec) {
  const figure = make("figure", { class: "chart" }, make("figcaption", {}, spec.title, make("span", {}, spec.note ?? "")));
  const here = make("circle", { class: "here", r: 7, visibility: "hidden" });
  let places = [];

  function draw() {
    const width = Math.max(260, figure.clientWidth - 26), height = spec.height ?? 230;
    const all = data.keys.map((_, i) => i);
    const known = all.filter((i) => spec.x(i) !== null && spec.y(i) !== null);
    const lost = all.filter((i) => spec.x(i) !== null && spec.y(i) === null && spec.lost(i));
    const xs = extent(known.concat(lost).map(spec.x), 0.04);
    const ys = extent(known.map(spec.y));
    const chart = axes(width, height, spec.zero ? [0, xs[1]] : xs, ys, spec.labels);
    const at = (i) => [chart.x(spec.x(i)), chart.y(spec.y(i))];
    places = [...known.map((i) => [i, ...at(i)]), ...lost.map((i) => [i, chart.x(spec.x(i)), chart.bottom - 5])];
    places.sort((a, b) => a[1] - b[1]);
    const marks = make("g", {});
    const sort = (i) => (data.outside.has(i) ? "out" : DOTS[data.kinds[i]]);
    for (const kind of new Set(known.map(sort))) {
      marks.append(dots(known.filter((i) => sort(i) === kind).map(at), kind));
    }
    marks.append(make("path", { class: "lost", d: lost.map((i) => {
      const x = chart.x(spec.x(i)), y = chart.bottom - 5;
      return `M${x - 3} ${y - 3}l6 6m0-6l-6 6`;
    }).join("") }));
    for (const i of data.wins.filter((i) => known.includes(i))) {
      const [cx, cy] = at(i);
      marks.append(make("circle", { class: "ring", cx, cy, r: 7 }));
    }
    chart.svg.append(...spec.lines(chart), marks, here);
    chart.svg.addEventListener("pointermove", (event) => hover(event));
    chart.svg.addEventListener("pointerleave", () => point(data, null));
    chart.svg.addEventListener("click", (event) => {
      const i = nearest(event);
      if (i !== null) openCandidate(data, i);
    });
    chart.svg.setAttribute("tabindex", "0");
    chart.svg.setAttribute("role", "application");
    chart.svg.addEventListener("keydown", keys);
    figure.querySelector("svg")?.remove();
    figure.append(chart.svg);
  }

  function nearest(event) {
    const box = figure.querySelector("svg").getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best = null, least = 30 ** 2;
    for (const [i, x, y] of places) {
      const distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  function hover(event) {
    const i = nearest(event);
    point(data, i);
    if (i !== null) showTip(data, i, event.pageX, event.pageY);
  }

  let current = null;
  function keys(event) {
    const order = places.map(([i]) => i);
    const where = order.indexOf(current);
    const step = { ArrowRight: where + 1, ArrowLeft: where < 0 ? order.length - 1 : where - 1, Home: 0, End: order.length - 1 }[event.key];
    if (event.key === "Enter" && where >= 0) openCandidate(data, current);
    else if (step !== undefined && order.length) {
      current = order[Math.min(order.length - 1, Math.max(0, step))];
      point(data, current);
      const [, x, y] = places[order.indexOf(current)];
      const box = figure.querySelector("svg").getBoundingClientRect();
      showTip(data, current, box.left + scrollX + x, box.top + scrollY + y);
      say(sentence(data, current));
    } else return;
    event.preventDefault();
  }

  function mark(of, i) {
    const place = of === data ? places.find(([k]) => k === i) : undefined;
    here.setAttribute("visibility", place ? "visible" : "hidden");
    if (place) {
      here.setAttribute("cx", place[1]);
      here.setAttribute("cy", place[2]);
    } else hideTip();
  }

  watchWidth(figure, draw);
  pointing.add(mark);
  figure.forget = () => pointing.delete(mark);
  return figure;
}

/** Draw when the figure is on the page, and again when its width changes. */
function watchWidth(figure, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (figure.clientWidth && figure.clientWidth !== width) {
      width = figure.clientWidth;
      draw();
    }
  }).observe(figure);
}

/** A step line through (x, y) pairs up to the right end. */
function steps(chart, places) {
  if (!places.length) return "";
  const [first, ...rest] = places.map(([x, y]) => [chart.x(x), chart.y(y)]);
  return `M${first[0]} ${first[1]}${rest.map(([x, y]) => `H${x}V${y}`).join("")}H${chart.right}`;
}

/** A part against what was spent: the candidates, and the part of what was best so far. */
function progress(data, part, axis, baseline) {
  const held = overview.roles[part] === "held out";
  const numbers = data.numbers[part];
  const spent = axis === "NFE" ? data.nfe : data.seconds;
  return scatter(data, {
    title: part,
    note: part === OBJECTIVE ? "" : `, ${overview.roles[part]}`,
    labels: { x: axis === "NFE" ? "NFE" : "seconds", about: `${part} of every candidate against ${axis}; arrow keys go from one to the next` },
    zero: true,
    x: (i) => spent[i],
    y: (i) => numbers[i],
    lost: (i) => part in (data.missing[i] ?? {}) || (part === OBJECTIVE && !held),
    lines: (chart) => {
      const places = data.bests.filter((i) => numbers[i] !== null).map((i) => [spent[i], numbers[i]]);
      const lines = [make("path", { class: held ? "best held" : "best", d: steps(chart, places) })];
      if (baseline !== null) {
        const y = chart.y(baseline);
        lines.unshift(make("path", { class: "base", d: `M${MARGIN.left} ${y}H${chart.right}` }));
      }
      return lines;
    },
  });
}

/** One part against another; with the front where no part is traded for another. */
function tradeOff(data, across, up) {
  const on = data.front.filter((i) => data.numbers[across][i] !== null && data.numbers[up][i] !== null)
    .sort((a, b) => data.numbers[across][a] - data.numbers[across][b]);
  return scatter(data, {
    title: data.front.length ? `Front of ${count(data.front.length, "candidate")}` : `${up} against ${across}`,
    note: data.front.length ? `, ${up} against ${across}` : "",
    height: 340,
    labels: { x: `${across} →`, y: up, about: `${up} against ${across} of every candidate` },
    x: (i) => data.numbers[across][i],
    y: (i) => data.numbers[up][i],
    lost: () => false,
    lines: (chart) => {
      const at = (i) => [chart.x(data.numbers[across][i]), chart.y(data.numbers[up][i])];
      const d = on.map((i, k) => (k ? `V${at(i)[1]}H${at(i)[0]}` : `M${at(i).join(" ")}`)).join("");
      return on.length > 1 ? [make("path", { class: "best", d })] : [];
    },
  });
}

/** The mean gain over all prompts of what was best so far, with its interval. */
function meanGain(curve) {
  const figure = make("figure", { class: "chart" });
  figure.append(make("figcaption", {}, `${curve.part}`, make("span", {}, curve.held_out ? ", held out" : "")));
  watchWidth(figure, () => {
    const width = Math.max(260, figure.clientWidth - 26);
    const ys = extent([...curve.low, ...curve.high, 0]);
    const chart = axes(width, 210, [0, curve.nfe.at(-1) * 1.02], ys, {
      x: "NFE a prompt", about: `Mean gain of ${curve.part} over the baseline against NFE: ${shown(curve.mean.at(-1), true)} at the end, 95 % interval ${shown(curve.low.at(-1), true)} to ${shown(curve.high.at(-1), true)}`,
    });
    const place = (n, i) => `${chart.x(curve.nfe[i]).toFixed(1)} ${chart.y(n).toFixed(1)}`;
    const there = curve.high.map(place), back = curve.low.map(place).reverse();
    const held = curve.held_out ? " held" : "";
    chart.svg.append(
      make("path", { class: "base", d: `M${MARGIN.left} ${chart.y(0)}H${chart.right}` }),
      make("path", { class: `band${held}`, d: `M${[...there, ...back].join("L")}Z` }),
      make("path", { class: `best${held}`, d: `M${curve.mean.map(place).join("L")}` }),
    );
    figure.querySelector("svg")?.remove();
    figure.append(chart.svg);
  });
  return figure;
}
