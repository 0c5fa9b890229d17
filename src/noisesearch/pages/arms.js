// The arms of an experiment: columns over what an image costs, and one column over all arms.

const SHAPES = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0", // circle
  "M-3.6-3.6h7.2v7.2h-7.2z", // square
  "M0-5l4.8 8.4h-9.6z", // triangle
  "M0-5.2l5.2 5.2l-5.2 5.2l-5.2-5.2z", // diamond
];
const UNITS = { nfe: "NFE an image", forwards: "forwards an image", gflops: "GFLOPs an image" };
const arms = overview.arms;
const lines = [...new Set(arms.map((arm) => arm.line))];

/** A line's colour and, since a colour alone is not for everybody, the shape of its marks. */
function look(line) {
  const place = lines.indexOf(line);
  return { colour: `l${place % 6}`, shape: SHAPES[place % SHAPES.length] };
}

/** What is said of an arm in a column; `kind`: its figures, or over the first arm. */
function told(i, column, kind) {
  const ends = arms[i][kind][column];
  const cost = `${arms[i].name}, ${shown(arms[i].x)} ${UNITS[overview.x]}`;
  const sign = kind === "over";
  return ends === null ? `${cost}: no ${column}`
    : `${cost}: ${column} ${shown(ends[0], sign)}, 95 % interval ${shown(ends[1], sign)} to ${shown(ends[2], sign)}`;
}

/** A chart whose arms are gone through by pointer and arrow keys; `draw(width)` gives a chart and
 * the places [arm, x, y] of its marks. */
function armChart(title, note, column, kind, draw) {
  const hint = "Point at an arm, or go from one to the next with the arrow keys.";
  const words = make("p", { class: "told" }, hint);
  const figure = make("figure", { class: "chart" }, make("figcaption", {}, title, make("span", {}, note)), words);
  const here = make("circle", { class: "here", r: 8, visibility: "hidden" });
  let places = [];
  let current = -1;

  function mark(of, i) {
    const place = i === null ? undefined : places.find(([arm]) => arm === i);
    here.setAttribute("visibility", place ? "visible" : "hidden");
    if (place) {
      here.setAttribute("cx", place[1]);
      here.setAttribute("cy", place[2]);
    }
    words.textContent = i === null ? hint : told(i, column, kind);
  }

  watchWidth(figure, () => {
    const drawn = draw(Math.max(250, figure.clientWidth - 26));
    const { svg } = drawn;
    places = drawn.places;
    svg.append(here);
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "application");
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const far = ([, x, y]) => (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
      const near = places.reduce((a, b) => (far(b) < far(a) ? b : a), places[0]);
      point(overview, near && far(near) < 40 ** 2 ? near[0] : null);
    });
    svg.addEventListener("pointerleave", () => point(overview, null));
    svg.addEventListener("keydown", (event) => {
      const to = { ArrowRight: current + 1, ArrowDown: current + 1, ArrowLeft: current - 1, ArrowUp: current - 1, Home: 0, End: places.length - 1 }[event.key];
      if (to === undefined || !places.length) return;
      current = Math.min(places.length - 1, Math.max(0, to));
      point(overview, places[current][0]);
      say(told(places[current][0], column, kind));
      event.preventDefault();
    });
    figure.querySelector("svg")?.remove();
    words.before(svg);
  });
  pointing.add(mark);
  figure.forget = () => pointing.delete(mark);
  return figure;
}

function sign(arm, x, y) {
  const { colour, shape } = look(arm.line);
  return make("path", { class: `arm mark ${colour}`, d: shape, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
}

/** A column over the cost of an image; arms of one line are joined. */
function overCost(column) {
  const known = arms.map((_, i) => i).filter((i) => arms[i].figures[column] !== null);
  const costs = known.map((i) => arms[i].x);
  const log = Math.min(...costs) > 0 && Math.max(...costs) > 10 * Math.min(...costs);
  const xs = log ? [Math.min(...costs) / 1.2, Math.max(...costs) * 1.2] : extent(costs);
  const ys = extent(known.flatMap((i) => arms[i].figures[column]));
  return armChart(column, "", column, "figures", (width) => {
    const chart = axes(width, 250, xs, ys, { x: UNITS[overview.x], log, about: `${column} of every arm over ${UNITS[overview.x]}; arrow keys go from arm to arm` });
    const at = (i, end = 0) => [chart.x(arms[i].x), chart.y(arms[i].figures[column][end])];
    for (const line of lines) {
      const of = known.filter((i) => arms[i].line === line).sort((a, b) => arms[a].x - arms[b].x);
      const { colour } = look(line);
      const whiskers = of.filter((i) => arms[i].figures[column][1] !== null)
        .map((i) => `M${at(i)[0]} ${at(i, 1)[1]}V${at(i, 2)[1]}`).join("");
      chart.svg.append(make("path", { class: `arm whisker ${colour}`, d: whiskers }),
        ...(of.length ? [make("path", { class: `arm ${colour}`, d: `M${of.map((i) => at(i).join(" ")).join("L")}` })] : []),
        ...of.map((i) => sign(arms[i], ...at(i))));
    }
    const places = known.map((i) => [i, ...at(i)]).sort((a, b) => a[1] - b[1]);
    return { svg: chart.svg, places };
  });
}

/** One column of every arm, an arm a line; `kind`: its figures, or the differences to the first. */
function everyArm(column, kind) {
  const known = arms.map((_, i) => i).filter((i) => arms[i][kind][column] !== null);
  const base = kind === "over" ? 0 : (arms[0].figures[column] ?? [null])[0];
  const xs = extent([...known.flatMap((i) => arms[i][kind][column]), base]);
  const note = kind === "over" ? `, difference to “${overview.first}”` : "";
  return armChart(column, note, column, kind, (width) => {
    const step = 38;
    const height = step * known.length + MARGIN.bottom + 6;
    const chart = axes(width, height, xs, null, { left: 14, x: column, about: `${column} of every arm${note}; arrow keys go from arm to arm` });
    if (base !== null) chart.svg.append(make("path", { class: "base", d: `M${chart.x(base)} 4V${chart.bottom}` }));
    const places = known.map((i, row) => {
      const [value, low, high] = arms[i][kind][column].map((n) => n === null ? null : chart.x(n));
      const y = 27 + step * row;
      chart.svg.append(make("text", { x: chart.left, y: y - 11, class: "arm-name" }, arms[i].name));
      if (low !== null) chart.svg.append(make("path", { class: `arm whisker ${look(arms[i].line).colour}`, d: `M${low} ${y}H${high}M${low} ${y - 4}v8M${high} ${y - 4}v8` }));
      chart.svg.append(sign(arms[i], value, y));
      return [i, value, y];
    });
    return { svg: chart.svg, places };
  });
}

/** Which mark is which line, where that is not said beside it. */
function lineLegend() {
  return make("ul", { class: "legend" }, ...lines.map((line) => {
    const { colour, shape } = look(line);
    return make("li", {}, make("svg", { viewBox: "-11 -6 22 12", "aria-hidden": "true" },
      make("path", { class: `arm ${colour}`, d: "M-10 0h20" }), make("path", { class: `arm mark ${colour}`, d: shape })), line);
  }));
}

function fillLines() {
  if (!overview.y.length) return;
  document.getElementById("lines").append(lineLegend(),
    make("div", { class: "charts" }, ...overview.y.map(overCost)));
}

function fillColumn() {
  if (!overview.columns.length) return; // arms of different verifiers, and nothing that measures all
  const box = make("div", {});
  const select = (choices) => make("select", { onchange: fill }, ...choices.map(([value, words]) => make("option", { value }, words)));
  const column = select(overview.columns.map((name) => [name, name]));
  const kind = select([["figures", "as it is"], ["over", `as difference to “${overview.first}”`]]);
  function fill() {
    box.querySelector(".chart")?.forget();
    box.replaceChildren(everyArm(column.value, kind.value));
  }
  fill();
  document.getElementById("column").append(make("h3", {}, "One column, every arm"),
    make("div", { class: "bar" }, make("label", {}, "Column ", column), ...(arms.length > 1 ? [make("label", {}, "Shown ", kind)] : [])), box);
}

fillLines();
fillColumn();
