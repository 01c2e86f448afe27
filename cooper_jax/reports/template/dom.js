// Elements, numbers and the address. Text reaches the page through text nodes alone.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector, inside = document) => inside.querySelector(selector);
const $$ = (selector, inside = document) => [...inside.querySelectorAll(selector)];

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "colour") node.style.setProperty("--c", `var(--c${value % 8})`);
    else if (name === "width" && !(node instanceof SVGElement)) node.style.width = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const body = (id) => $(`#${id} .body`);
const dot = (arm) => el("span", { class: "dot", colour: data.arms[arm].colour });
const colourOf = (run) => data.arms[data.runs[run].arm].colour;

function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if ((Number.isInteger(value) && digits === 3) || size >= 1000) return Math.round(value).toLocaleString("en");
  if (size < 10 ** -digits) return digits < 3 ? (0).toFixed(digits) : String(+value.toPrecision(1));
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : digits);
}
const seconds = (value) => (value < 1 ? `${number(1000 * value, 1)} ms` : `${number(value, 2)} s`);
const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`);
const none = (...said) => el("p", { class: "none" }, ...said);

function table(heads, rows) {
  const cell = (tag, value, place) =>
    el(tag, { class: heads[place].startsWith(">") ? "n" : null }, value instanceof Node ? value : String(value ?? "–"));
  return el("div", { class: "wide" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head, place) => cell("th", head.replace(/^>/, ""), place)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((value, place) => cell("td", value, place)))))));
}

// #step=40&sample=7 is a place among the samples, #novelty a section.
const address = {
  read() {
    const text = location.hash.slice(1);
    return text.includes("=") ? Object.fromEntries(new URLSearchParams(text)) : { section: text };
  },
  of(values) {
    const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    return `#${new URLSearchParams(kept)}`;
  },
  write(values) { history.replaceState(null, "", this.of(values)); },
};

// `text` with the places that `find` matches, or the `spans` of characters, marked.
function marked(text, spans) {
  const parts = [];
  let at = 0;
  for (const [begin, end] of spans) {
    parts.push(text.slice(at, begin), el("mark", {}, text.slice(begin, end)));
    at = end;
  }
  return [...parts, text.slice(at)];
}
function found(text, pattern) {
  const spans = [];
  if (pattern) for (const match of text.matchAll(pattern)) {
    if (match[0]) spans.push([match.index, match.index + match[0].length]);
    if (spans.length > 200) break;
  }
  return spans;
}
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
