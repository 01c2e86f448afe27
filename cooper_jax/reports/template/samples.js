// The samples: filtered, sorted, paged; one of them in full, with its group and its question's other steps.
const S = data.samples.columns, TEXTS = data.samples.strings, PAGE = 50;
const COUNT = S.run.length;
const verdictOf = (at) => TEXTS[S.verdict[at]];
const isRight = (at) => verdictOf(at) === "right";
const known = (at) => S.score[at] !== null && verdictOf(at) !== "unknown";
const gapOf = (at) => (known(at) ? Math.abs(S.score[at] - (isRight(at) ? 1 : 0)) : -1);
const paid = (at) => (S.score[at] === null ? S.reward[at] : S.score[at]);
const SHOWS = {
  all: ["all", () => true],
  high: ["wrong, scored high", (at) => known(at) && !isRight(at) && S.score[at] > 0.5],
  low: ["right, scored low", (at) => known(at) && isRight(at) && S.score[at] <= 0.5],
  right: ["right", isRight],
  wrong: ["wrong", (at) => verdictOf(at) === "wrong"],
  unknown: ["unknown", (at) => verdictOf(at) === "unknown"],
};
const SORTS = {
  disagreement: ["disagreement", (a, b) => gapOf(b) - gapOf(a)],
  step: ["step", (a, b) => S.step[a] - S.step[b] || S.row[a] - S.row[b]],
  late: ["latest first", (a, b) => S.step[b] - S.step[a] || S.row[a] - S.row[b]],
  score: ["score", (a, b) => paid(b) - paid(a)],
  advantage: ["advantage", (a, b) => S.advantage[b] - S.advantage[a]],
  length: ["length", (a, b) => S.tokens[b] - S.tokens[a]],
};
const withSamples = [...new Set(S.run)].sort((a, b) => a - b);
const allSteps = [...new Set(S.step)].sort((a, b) => a - b);
const START = { run: "", show: "all", sort: S.score.some((score) => score !== null) ? "disagreement" : "step", from: "", to: "", q: "", with: "" };
const asked = { ...START };
let rows = [], picked = null, page = 0;
const parts = {};

const textPattern = () => (asked.with
  ? new RegExp(asked.with.split(" ").map((word) => (word === "‹n›" ? "\\d+(?:[.,]\\d+)*" : /^\d/.test(word) ? `(?<![\\d.,])${escaped(word)}(?!\\d)` : escaped(word))).join("\\s*"), "g")
  : asked.q ? new RegExp(escaped(asked.q), "gi") : null);

function select() {
  const pattern = textPattern(), shows = SHOWS[asked.show][1];
  const test = pattern && new RegExp(pattern.source, pattern.flags.replace("g", ""));
  const from = asked.from === "" ? -Infinity : +asked.from, to = asked.to === "" ? Infinity : +asked.to;
  rows = [];
  for (let at = 0; at < COUNT; at++) {
    if (asked.run !== "" && S.run[at] !== +asked.run) continue;
    if (S.step[at] < from || S.step[at] > to || !shows(at)) continue;
    if (test && !(test.test(S.completion[at]) || (!asked.with && test.test(TEXTS[S.question[at]])))) continue;
    rows.push(at);
  }
  rows.sort((a, b) => SORTS[asked.sort][1](a, b) || a - b);
  together();
}
// A policy that is far gone writes one text over and over: of a group, equal ones with one score are one line.
const leader = new Map(), times = new Map();
const leads = (at) => leader.get(at) ?? at;
function together() {
  const seen = new Map();
  leader.clear();
  times.clear();
  if (asked.sort !== "disagreement") return;
  rows = rows.filter((at) => {
    const key = `${S.run[at]} ${S.step[at]} ${S.group[at]} ${verdictOf(at)} ${number(paid(at), 2)} ${S.completion[at]}`;
    const first = seen.get(key) ?? at;
    seen.set(key, first);
    times.set(first, (times.get(first) || 0) + 1);
    if (first !== at) leader.set(at, first);
    return first === at;
  });
}

function refresh(keep) {
  select();
  if (!rows.includes(leads(picked))) picked = rows.length ? rows[0] : null;
  page = picked === null ? 0 : Math.floor(rows.indexOf(leads(picked)) / PAGE);
  drawTools();
  drawList();
  drawDetail();
  if (!keep) remember();
}
function remember() {
  const values = Object.fromEntries(Object.entries(asked).filter(([name, value]) => value !== START[name]));
  if (picked !== null) {
    if (data.runs.length > 1) values.run = S.run[picked];
    if (asked.run === "" && data.runs.length > 1) values.of = "all";
    Object.assign(values, { step: S.step[picked], sample: S.row[picked] });
  }
  address.write(values);
}
// The address decides filters and the sample; a link may name a step without a sample.
function follow(values) {
  Object.assign(asked, START);
  for (const name of Object.keys(START)) if (values[name] !== undefined) asked[name] = values[name];
  if (!SHOWS[asked.show]) asked.show = START.show;
  if (!SORTS[asked.sort]) asked.sort = START.sort;
  const run = values.run === undefined ? withSamples[0] : +values.run;
  if (values.of === "all" || (values.sample !== undefined && values.run === undefined)) asked.run = "";
  select();
  const wanted = (at) => S.run[at] === run && S.step[at] === +values.step && (values.sample === undefined || S.row[at] === +values.sample);
  picked = null;
  for (let at = 0; at < COUNT && values.step !== undefined; at++) if (wanted(at)) { picked = at; break; }
  parts.missing.hidden = values.step === undefined || picked !== null;
  if (picked !== null && !rows.includes(leads(picked))) { Object.assign(asked, START); select(); }
  refresh(true);
}

function pick(at, focus) {
  picked = at;
  const place = rows.indexOf(leads(at));
  if (place >= 0 && Math.floor(place / PAGE) !== page) { page = Math.floor(place / PAGE); drawList(); }
  for (const item of $$(".item", parts.list)) item.setAttribute("aria-selected", String(+item.dataset.at === leads(at)));
  const item = $(`.item[data-at="${leads(at)}"]`, parts.list);
  if (item && focus) keepSeen(parts.list, item);
  drawDetail();
  remember();
}
function keepSeen(list, item) {
  const top = item.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + item.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + item.offsetHeight - list.clientHeight;
}
function move(by) {
  const place = rows.indexOf(leads(picked)) + by;
  if (place >= 0 && place < rows.length) pick(rows[place], true);
}

function meter(at) {
  const value = paid(at), bad = gapOf(at) > 0.5;
  return el("span", { class: bad ? "meter bad" : "meter", title: S.score[at] === null ? "reward" : "score" },
    el("i", { width: `${Math.max(0, Math.min(1, value ?? 0)) * 100}%` }));
}
const SIGNS = { right: "✓", wrong: "✗", unknown: "?" };
const sign = (at) => el("span", { class: `v ${verdictOf(at)}`, title: verdictOf(at) }, SIGNS[verdictOf(at)] || "?");

function drawTools() {
  const counts = Object.fromEntries(Object.keys(SHOWS).map((name) => [name, 0]));
  for (let at = 0; at < COUNT; at++) {
    if (asked.run !== "" && S.run[at] !== +asked.run) continue;
    for (const [name, [, test]] of Object.entries(SHOWS)) if (test(at)) counts[name]++;
  }
  for (const button of $$("button", parts.show)) {
    const name = button.dataset.show;
    button.setAttribute("aria-pressed", String(asked.show === name));
    button.replaceChildren(SHOWS[name][0], el("span", { class: "count" }, counts[name].toLocaleString("en")));
    button.hidden = !counts[name] && name !== asked.show && name !== "all";
  }
  parts.run.value = asked.run;
  parts.sort.value = asked.sort;
  if (document.activeElement !== parts.search) parts.search.value = asked.q;
  const place = (step, otherwise) => (step === "" ? otherwise : Math.max(0, allSteps.findIndex((each) => each >= +step)));
  parts.from.value = place(asked.from, 0);
  parts.to.value = asked.to === "" ? allSteps.length - 1 : Math.max(0, allSteps.filter((each) => each <= +asked.to).length - 1);
  parts.between.textContent = `steps ${allSteps[parts.from.value]}–${allSteps[parts.to.value]}`;
  parts.gram.hidden = !asked.with;
  parts.gram.textContent = `with “${asked.with}” ×`;
}

// Both ends: the answer stands at the second.
const excerpt = (text) => (text.length > 110 ? `${text.slice(0, 46)} … ${text.slice(-60)}` : text || "(empty)");
function drawList() {
  const shown = rows.slice(page * PAGE, (page + 1) * PAGE);
  parts.list.replaceChildren(...shown.map((at) => el("button", {
    class: "item", type: "button", role: "option", tabindex: "-1", "data-at": at, "aria-selected": String(at === leads(picked)),
    colour: colourOf(S.run[at]), onclick: () => pick(at),
  }, el("span", { class: "step" }, S.step[at]), meter(at), sign(at), el("span", { class: "text" }, times.get(at) > 1 && el("span", { class: "times" }, `${times.get(at)}×`), excerpt(S.completion[at])))));
  if (!shown.length) parts.list.append(el("p", { class: "none" }, "Nothing here. Widen the steps, or clear the search."));
  parts.list.scrollTop = 0;
  const item = $('.item[aria-selected="true"]', parts.list);
  if (item) keepSeen(parts.list, item);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const total = data.samples.total.reduce((sum, count, run) => sum + (asked.run === "" || +asked.run === run ? count : 0), 0);
  parts.pager.replaceChildren(
    el("button", { type: "button", disabled: page === 0, onclick: () => { page--; pick(rows[page * PAGE]); drawList(); } }, "‹ before"),
    el("button", { type: "button", disabled: page >= pages - 1, onclick: () => { page++; pick(rows[page * PAGE]); drawList(); } }, "next ›"),
    el("span", {}, `${rows.length.toLocaleString("en")} shown, page ${page + 1} of ${pages}; ${total.toLocaleString("en")} were kept by ${asked.run === "" ? "the runs" : "the run"}`),
    el("span", { class: "keys" }, el("kbd", {}, "j"), " ", el("kbd", {}, "k"), " next, before  ", el("kbd", {}, "/"), " search"));
}

function drawDetail() {
  const at = picked;
  if (at === null) { parts.detail.replaceChildren(el("p", { class: "none" }, "Choose a sample.")); return; }
  const pattern = textPattern(), question = TEXTS[S.question[at]], run = data.runs[S.run[at]];
  const fact = (name, value) => el("span", {}, `${name} `, el("b", {}, value));
  const group = [], over = new Map();
  for (let other = 0; other < COUNT; other++) {
    if (S.question[other] !== S.question[at]) continue;
    if (S.run[other] === S.run[at] && S.step[other] === S.step[at] && S.group[other] === S.group[at]) group.push(other);
    const key = `${S.run[other]} ${S.step[other]}`;
    over.set(key, [...(over.get(key) || []), other]);
  }
  const mean = (ats) => ats.reduce((sum, each) => sum + (paid(each) ?? 0), 0) / ats.length;
  const times = [...over.values()].sort((a, b) => S.run[a[0]] - S.run[b[0]] || S.step[a[0]] - S.step[b[0]]);
  parts.detail.replaceChildren();
  fill(parts.detail, {}, [
    el("div", { class: "facts" }, dot(run.arm), el("b", {}, `${run.name}, step ${S.step[at]}, sample ${S.row[at]}`)),
    el("div", { class: "facts" }, el("span", { class: `v ${verdictOf(at)}` }, `${SIGNS[verdictOf(at)] || "?"} ${verdictOf(at)}`),
      S.score[at] !== null && fact("score", S.score[at].toFixed(3)), S.reward[at] !== null && fact("reward", S.reward[at].toFixed(3)),
      fact("advantage", number(S.advantage[at], 2)), fact("tokens", String(S.tokens[at])), !S.finished[at] && el("b", {}, "not finished")),
    TEXTS[S.reason[at]] && el("div", { class: "facts" }, `the rule: ${TEXTS[S.reason[at]]}`),
    el("h3", {}, "Question"), el("pre", {}, marked(question, found(question, asked.with ? null : pattern))),
    el("h3", {}, "Reference"), el("pre", {}, TEXTS[S.reference[at]]),
    el("h3", {}, "Completion"), el("pre", { class: "said" }, marked(S.completion[at], found(S.completion[at], pattern))),
    group.length > 1 && [el("h3", {}, `Its group on this page: ${group.length} samples, ${group.filter(isRight).length} right`),
      el("div", { class: "group" }, group.map((other) => el("button", {
        type: "button", "aria-pressed": String(other === at), title: S.completion[other].slice(0, 400), onclick: () => pick(other, true),
      }, sign(other), ` ${number(paid(other), 2)}`)))],
    times.length > 1 && [el("h3", {}, "This question over time"),
      table(["", ">step", ">samples", ">right", S.score[at] === null ? ">reward" : ">score"], times.map((ats) => [
        el("a", { href: address.of({ run: S.run[ats[0]], step: S.step[ats[0]], sample: S.row[ats[0]] }) }, data.runs[S.run[ats[0]]].name),
        S.step[ats[0]], ats.length, percent(ats.filter(isRight).length / ats.length), number(mean(ats), 2)]))],
  ]);
  parts.detail.scrollTop = 0;
}

function drawSamples() {
  if (!COUNT) {
    body("samples").append(none("No samples were kept: the run is older than they are, or log.samples_every is 0."));
    return;
  }
  const change = (name) => (event) => { asked[name] = event.target.value; picked = null; refresh(); };
  const option = (value, text) => el("option", { value }, text);
  const slide = (name) => el("input", { type: "range", min: 0, max: allSteps.length - 1, step: 1, "aria-label": `${name} step`,
    oninput: (event) => { asked[name] = String(allSteps[event.target.value]); picked = null; refresh(); } });
  let typing = 0;
  Object.assign(parts, {
    run: el("select", { "aria-label": "run", onchange: change("run") }, option("", "all runs"), withSamples.map((run) => option(run, data.runs[run].name))),
    show: el("div", { class: "seg", role: "group", "aria-label": "show" }, Object.keys(SHOWS).map((name) =>
      el("button", { type: "button", "data-show": name, onclick: () => { asked.show = name; picked = null; refresh(); } }))),
    sort: el("select", { "aria-label": "sort by", onchange: change("sort") }, Object.entries(SORTS).map(([name, [text]]) => option(name, text))),
    search: el("input", { type: "search", placeholder: "search text", "aria-label": "search text", oninput: (event) => {
      clearTimeout(typing);
      asked.q = event.target.value;
      asked.with = "";
      typing = setTimeout(() => { picked = null; refresh(); }, 120);
    } }),
    from: slide("from"), to: slide("to"), between: el("span", {}),
    gram: el("button", { type: "button", class: "mono", onclick: () => { asked.with = ""; refresh(); } }),
    missing: none("The sample that the address names is not on this page, which holds a selection."),
    list: el("div", { class: "list", role: "listbox", "aria-label": "samples" }),
    detail: el("div", { class: "detail" }), pager: el("div", { class: "pager" }),
  });
  parts.missing.hidden = true;
  body("samples").append(el("p", { class: "note" },
    "The bar is the score (of the rule arm, the reward), ½ at its middle; red where it is on the other side than the rule. Sorted by |score − verdict| first."),
  el("div", { class: "tools" }, parts.show),
  el("div", { class: "tools" }, data.runs.length > 1 && parts.run, el("label", {}, "sort ", parts.sort), parts.search, parts.gram,
    el("label", {}, parts.from, parts.to, parts.between)),
  parts.missing, el("div", { class: "split" }, parts.list, parts.detail), parts.pager);
}
