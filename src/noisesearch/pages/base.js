"use strict";
// What every view uses: the data of the page, elements, numbers, one candidate's picture and words.

const overview = JSON.parse(document.getElementById("overview").textContent);
const OBJECTIVE = "objective";
const KINDS = { b: "baseline", s: "candidate", d: "draft", p: "preview", f: "finished draft" };
const DRAWN = new Set(["svg", "g", "path", "line", "text", "circle", "rect", "image", "title"]);
const blocks = new Map();

/** The candidates of search number i, in columns; parsed when first looked at. */
function block(i) {
  if (!blocks.has(i)) {
    const data = JSON.parse(document.getElementById(`search-${i}`).textContent);
    data.outside = new Set(data.out);
    data.line = lineage(data, data.wins[0]);
    blocks.set(i, data);
  }
  return blocks.get(i);
}

/** A candidate and all that it was made from. */
function lineage(data, candidate) {
  const line = new Set();
  for (let i = candidate; i !== null && !line.has(i); i = data.parents[i]) line.add(i);
  return line;
}

/** An element; attributes that begin with "on" are listeners, and false ones are left out. */
function make(tag, attributes = {}, ...children) {
  const element = DRAWN.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Four digits, as the tables have them. */
function shown(number, sign = false) {
  if (number === null || number === undefined) return "–";
  const text = Number.isInteger(number) && Math.abs(number) < 1e6 ? String(number)
    : String(Number(number.toPrecision(4)));
  return (sign && number > 0 ? "+" : "") + text.replace("-", "−");
}

function count(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

function webp(data) {
  return `data:image/webp;base64,${data}`;
}

/** Where a candidate's small picture is; null where there is none. */
function pictureOf(data, i) {
  const picture = data.pictures[i];
  if (typeof picture === "string") return webp(picture);
  return picture ? fileOf(data, i) : null;
}

/** Its file in the run folder, beside the page. */
function fileOf(data, i) {
  return `${overview.samples}${data.keys[i]}.png`;
}

/** An <img>, or words where there is no picture. */
function picture(source, alt, options = {}) {
  if (source === null) return make("span", { class: "none" }, "no picture");
  const sharp = overview.pixelated ? "sharp" : "";
  return make("img", { src: source, alt, class: sharp, loading: source.startsWith("data:") ? "eager" : "lazy", decoding: "async", ...options });
}

function title(data, i) {
  const winner = data.wins.includes(i) ? ", the winner" : "";
  return `${KINDS[data.kinds[i]]} ${i + 1} of ${data.keys.length}${winner}`;
}

/** What is said of a candidate in one line. */
function sentence(data, i) {
  const numbers = overview.parts.map((part) => [part, data.numbers[part][i]])
    .filter(([, number]) => number !== null).map(([part, number]) => `${part} ${shown(number)}`);
  const lost = Object.keys(data.missing[i] ?? {}).map((part) => `${part} missing`);
  const out = data.outside.has(i) ? ["breaks a bound or was let go"] : [];
  return [title(data, i), ...numbers, ...lost, ...out, `at ${shown(data.nfe[i])} NFE`].join(", ");
}

function say(text) {
  document.getElementById("said").textContent = text;
}

/** Told of the candidate that is pointed at (null: none), so that all charts mark it. */
const pointing = new Set();
function point(data, i) {
  for (const listener of pointing) listener(data, i);
}
