// The tree of a search whose candidates are made from others.

const NODE = 34, ACROSS = 62, DOWN = 42, EDGE = 20;

/** How many steps each candidate is from the first of its line. */
function depths(data) {
  const found = [];
  data.parents.forEach((parent, i) => { found[i] = parent === null ? 0 : found[parent] + 1; });
  return found;
}

/** The tree, a column a generation, or null where no candidate was made from another. */
function tree(data) {
  if (data.parents.filter((parent) => parent !== null).length < 2) return null;
  const depth = depths(data);
  const columns = [];
  // Children stand in the order of their parents, so that few edges cross.
  const row = [];
  for (let column = 0; column <= depth.reduce((a, b) => Math.max(a, b)); column++) {
    const mine = data.keys.map((_, i) => i).filter((i) => depth[i] === column);
    mine.sort((a, b) => (row[data.parents[a]] ?? 0) - (row[data.parents[b]] ?? 0) || a - b);
    mine.forEach((i, k) => { row[i] = k; });
    columns.push(mine);
  }
  const tallest = Math.max(...columns.map((column) => column.length));
  const x = (i) => EDGE + depth[i] * ACROSS;
  const y = (i) => EDGE + 14 + (row[i] + (tallest - columns[depth[i]].length) / 2) * DOWN;
  const svg = make("svg", {
    width: 2 * EDGE + columns.length * ACROSS, height: 2 * EDGE + 14 + tallest * DOWN,
    tabindex: 0, role: "application",
    "aria-label": `Tree of ${count(data.keys.length, "candidate")} in ${count(columns.length, "generation")}; arrow keys go from one to the next, the winner's line is marked`,
  });
  columns.forEach((_, k) => svg.append(make("text", { x: EDGE + k * ACROSS + NODE / 2, y: 16, "text-anchor": "middle" }, String(k))));
  const onLine = (i) => (data.line.has(i) ? " line" : "");
  for (const i of [...data.keys.keys()].sort((a, b) => data.line.has(a) - data.line.has(b))) {
    const parent = data.parents[i];
    if (parent === null) continue;
    const [x1, y1, x2, y2] = [x(parent) + NODE, y(parent) + NODE / 2, x(i), y(i) + NODE / 2];
    const middle = x2 - (ACROSS - NODE) / 2;
    svg.append(make("path", { class: `edge${onLine(i)}`, d: `M${x1} ${y1}H${Math.max(x1, middle - 8)}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` }));
  }
  for (const i of data.keys.keys()) {
    const source = pictureOf(data, i);
    const node = make("g", { "data-candidate": i }, make("rect", { class: onLine(i).trim(), x: x(i), y: y(i), width: NODE, height: NODE, rx: 4 }));
    if (source === null) node.append(make("text", { x: x(i) + NODE / 2, y: y(i) + NODE / 2 + 4, "text-anchor": "middle" }, String(i + 1)));
    else node.append(make("image", { href: source, x: x(i) + 2, y: y(i) + 2, width: NODE - 4, height: NODE - 4, class: overview.pixelated ? "sharp" : "" }));
    svg.append(node);
  }
  const here = make("rect", { class: "here", width: NODE + 6, height: NODE + 6, rx: 6, visibility: "hidden", fill: "none" });
  svg.append(here);
  const box = make("div", { class: "tree" }, svg);
  const of = (event) => event.target.closest("[data-candidate]");
  svg.addEventListener("pointermove", (event) => {
    const node = of(event);
    const i = node ? Number(node.dataset.candidate) : null;
    point(data, i);
    if (i !== null) showTip(data, i, event.pageX, event.pageY);
  });
  svg.addEventListener("pointerleave", () => point(data, null));
  svg.addEventListener("click", (event) => {
    const node = of(event);
    if (node) openCandidate(data, Number(node.dataset.candidate));
  });
  let current = data.wins[0];
  svg.addEventListener("keydown", (event) => {
    const column = columns[depth[current]];
    const child = columns[depth[current] + 1]?.find((i) => data.parents[i] === current);
    const next = {
      ArrowLeft: data.parents[current], ArrowRight: child,
      ArrowUp: column[row[current] - 1], ArrowDown: column[row[current] + 1],
    }[event.key];
    if (event.key === "Enter") openCandidate(data, current);
    else if (event.key.startsWith("Arrow")) {
      current = next ?? current;
      point(data, current);
      say(sentence(data, current));
      box.scrollTo({ left: x(current) - box.clientWidth / 2, top: y(current) - box.clientHeight / 2 });
    } else return;
    event.preventDefault();
  });
  function mark(owner, i) {
    const there = owner === data && i !== null;
    here.setAttribute("visibility", there ? "visible" : "hidden");
    if (there) {
      here.setAttribute("x", x(i) - 3);
      here.setAttribute("y", y(i) - 3);
    }
  }
  pointing.add(mark);
  box.forget = () => pointing.delete(mark);
  // The winner's end of a long line is what is looked for.
  requestAnimationFrame(() => {
    box.scrollTo(x(data.wins[0]) - box.clientWidth / 2, y(data.wins[0]) - box.clientHeight / 2);
  });
  return box;
}
