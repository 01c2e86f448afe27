// Pairs side by side, what differs marked, with the scores before and after the update.
const P = data.pairs.rows, PAIR_PAGE = 10;
const wanted_pairs = { run: "", origin: "", sort: "worst", q: "", page: 0 };
const margin = (pair) => (pair.right_after === null || pair.wrong_after === null ? Infinity : pair.right_after - pair.wrong_after);

function pairRows() {
  const { run, origin, sort, q } = wanted_pairs, low = q.toLowerCase();
  const kept = P.filter((pair) => (run === "" || pair.run === +run) && (!origin || `${pair.origin} ${pair.kind}`.trim() === origin)
    && (!q || `${pair.question}\n${pair.right}\n${pair.wrong}`.toLowerCase().includes(low)));
  const by = { worst: (a, b) => margin(a) - margin(b), step: (a, b) => a.step - b.step, late: (a, b) => b.step - a.step };
  return kept.sort((a, b) => by[sort](a, b) || a.step - b.step || a.slot - b.slot);
}
const moved = (before, after) => (before === null && after === null ? "" : `score ${number(before, 2)} → ${number(after, 2)}`);

function drawPairList(list, pager) {
  const rows = pairRows(), pages = Math.max(1, Math.ceil(rows.length / PAIR_PAGE));
  wanted_pairs.page = Math.min(wanted_pairs.page, pages - 1);
  const shown = rows.slice(wanted_pairs.page * PAIR_PAGE, (wanted_pairs.page + 1) * PAIR_PAGE);
  const side = (pair, name, place) => el("div", { class: name === "wrong" ? "side no" : "side" },
    el("div", { class: "moved" }, `${name}: ${moved(pair[`${name}_before`], pair[`${name}_after`])}`),
    el("pre", {}, marked(pair[name], pair.changed[place])));
  list.replaceChildren(...shown.map((pair) => el("div", { class: "pair" },
    el("div", { class: "facts" }, dot(data.runs[pair.run].arm), el("b", {}, `step ${pair.step}, slot ${pair.slot}`),
      el("span", {}, `${pair.origin} ${pair.kind}`), data.runs.length > 1 && el("span", {}, data.runs[pair.run].name),
      margin(pair) <= 0 && el("span", { class: "still" }, "still the wrong way round")),
    el("pre", {}, pair.question), el("div", { class: "sides" }, side(pair, "right", 0), side(pair, "wrong", 1)))));
  const turn = (by) => () => { wanted_pairs.page += by; drawPairList(list, pager); };
  const total = data.pairs.total.reduce((sum, count) => sum + count, 0);
  pager.replaceChildren(el("button", { type: "button", disabled: wanted_pairs.page === 0, onclick: turn(-1) }, "‹ before"),
    el("button", { type: "button", disabled: wanted_pairs.page >= pages - 1, onclick: turn(1) }, "next ›"),
    el("span", {}, `${rows.length} pairs, page ${wanted_pairs.page + 1} of ${pages}; ${total.toLocaleString("en")} were kept`));
}

function drawPairs() {
  if (!P.length) {
    body("pairs").append(none(data.refusals.some(Boolean)
      ? "No pairs were kept: the run is older than they are, or log.samples_every is 0." : "These runs train no reward model, so they make no pairs."));
    return;
  }
  const list = el("div", {}), pager = el("div", { class: "pager" });
  const draw = () => { wanted_pairs.page = 0; drawPairList(list, pager); };
  const option = (value, text) => el("option", { value }, text);
  const choice = (name, label, options) => el("select", { "aria-label": label, onchange: (event) => { wanted_pairs[name] = event.target.value; draw(); } }, options);
  const origins = [...new Set(P.map((pair) => `${pair.origin} ${pair.kind}`.trim()))].sort();
  const having = [...new Set(P.map((pair) => pair.run))].sort((a, b) => a - b);
  body("pairs").append(el("p", { class: "note" }, "What differs is marked. Scores are the reward model's, before and after the update on this pair."),
    el("div", { class: "tools" },
      having.length > 1 && choice("run", "run", [option("", "all runs"), having.map((run) => option(run, data.runs[run].name))]),
      choice("origin", "origin", [option("", "every origin"), origins.map((origin) => option(origin, origin))]),
      choice("sort", "sort pairs", [option("worst", "least margin after"), option("step", "step"), option("late", "latest first")]),
      el("input", { type: "search", placeholder: "search pairs", "aria-label": "search pairs", oninput: (event) => { wanted_pairs.q = event.target.value; draw(); } })),
    list, pager);
  draw();
}
