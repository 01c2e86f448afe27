// Line charts of all arms, with bands; one crosshair for all of them. Plain SVG: a few hundred points a curve need no more.
const W = 340, H = 178, LEFT = 36, RIGHT = 6, TOP = 8, BOTTOM = 22;

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.99);
  const made = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) made.push(+at.toPrecision(10));
  return made;
}
function path(xs, ys, x, y) {
  let made = "", pen = "M";
  xs.forEach((value, at) => {
    if (ys[at] === null) { pen = "M"; return; }
    made += `${pen}${x(value).toFixed(1)} ${y(ys[at]).toFixed(1)}`;
    pen = "L";
  });
  return made;
}
function band(drawn, x, y) {
  const at = drawn.x.map((_, place) => place).filter((place) => drawn.e[place] !== null);
  const edge = (sign, places) => places.map((place) =>
    `${x(drawn.x[place]).toFixed(1)} ${y(drawn.y[place] + sign * drawn.e[place]).toFixed(1)}`);
  return at.length < 2 ? "" : `M${edge(1, at).join("L")}L${edge(-1, at.slice().reverse()).join("L")}Z`;
}
function extent(chart) {
  if (chart.share) return [0, 1];
  let low = Infinity, high = -Infinity;
  for (const drawn of chart.arms) {
    const curves = [drawn.y, ...drawn.seeds.map((seed) => seed[1])];
    for (const value of curves.flat()) if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  if (low >= 0 && low < high * 0.6) low = 0;
  const room = (high - low || Math.abs(high) || 1) * 0.05;
  return [low === 0 ? 0 : low - room, high + room];
}
function axes(low, high, first, last, x, y) {
  return [
    ticks(low, high, 4).map((value) => [
      svg("line", { class: "rule", x1: LEFT, x2: W - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" }, short(value)),
    ]),
    ticks(first, last, 5).map((value) =>
      svg("text", { x: x(value), y: H - 6, "text-anchor": "middle" }, short(value))),
  ];
}
const short = (value) => (Math.abs(value) >= 10000 ? `${+(value / 1000).toPrecision(3)}k`
  : Math.abs(value) < 0.001 && value ? value.toExponential(0) : String(+value.toPrecision(6)));

const crosshairs = [];
function lineChart(chart) {
  const [low, high] = extent(chart);
  const steps = chart.arms.flatMap((drawn) => [drawn.x[0], drawn.x[drawn.x.length - 1]]);
  const first = 0, last = Math.max(...steps, 1);
  const x = (value) => LEFT + ((value - first) / (last - first || 1)) * (W - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (Math.min(Math.max(value, low), high) - low) / (high - low || 1)) * (H - TOP - BOTTOM);
  const line = svg("line", { class: "cross", y1: TOP, y2: H - BOTTOM, visibility: "hidden" });
  const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${chart.title} by training step` },
    axes(low, high, first, last, x, y), line,
    chart.arms.map((drawn) => svg("g", { "data-arm": drawn.arm, colour: data.arms[drawn.arm].colour },
      drawn.e && svg("path", { class: "band", d: band(drawn, x, y) }),
      [...drawn.seeds, ...(drawn.raw ? [drawn.raw] : [])].map((seed) => svg("path", { class: "seed", d: path(seed[0], seed[1], x, y) })),
      svg("path", { class: "curve", d: path(drawn.x, drawn.y, x, y) }),
      drawn.x.length < 2 && svg("circle", { class: "bar", r: 3, cx: x(drawn.x[0]), cy: y(drawn.y[0]) }))));
  const at = el("span", { class: "at" });
  crosshairs.push({ chart, x, line, at });
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * W;
    crossAt(Math.round(first + ((place - LEFT) / (W - LEFT - RIGHT)) * (last - first)));
  });
  drawing.addEventListener("pointerleave", () => crossAt(null));
  return el("figure", {}, el("figcaption", { title: `${chart.figure}: ${chart.about}` }, el("span", {}, chart.title), at), drawing);
}

let waiting = false, wanted = null;
function crossAt(step) {
  wanted = step;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const { chart, x, line, at } of crosshairs) {
      const shown = wanted !== null && wanted >= 0 && x(wanted) <= W - RIGHT + 1;
      line.setAttribute("visibility", shown ? "visible" : "hidden");
      if (!shown) { at.textContent = ""; continue; }
      line.setAttribute("x1", x(wanted));
      line.setAttribute("x2", x(wanted));
      at.replaceChildren(String(wanted), ...chart.arms.filter((drawn) => !hidden.has(drawn.arm)).slice(0, 4).map((drawn) =>
        el("b", { colour: data.arms[drawn.arm].colour }, short(+near(drawn, wanted).toPrecision(3)))));
    }
  });
}
function near(drawn, step) {
  let best = 0;
  drawn.x.forEach((value, place) => { if (Math.abs(value - step) < Math.abs(drawn.x[best] - step)) best = place; });
  return drawn.y[best];
}

// Arms shown and hidden, everywhere.
const hidden = new Set();
function showArms() {
  for (const node of $$("[data-arm]")) node.toggleAttribute("hidden", hidden.has(+node.dataset.arm));
  for (const node of $$("svg [data-arm]")) node.style.display = hidden.has(+node.dataset.arm) ? "none" : "";
}
function armChips() {
  $("nav .arms").append(...data.arms.map((arm, place) => el("button", {
    class: "chip", type: "button", "aria-pressed": "true", title: "show or hide",
    onclick: (event) => {
      hidden.has(place) ? hidden.delete(place) : hidden.add(place);
      event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(place)));
      showArms();
    },
  }, dot(place), arm.name)));
}

// Score against share right: early faint, late strong; a point is as large as it has rows.
function reliability(arm, stretches) {
  const size = 230, pad = 30;
  const x = (value) => pad + value * (size - pad - 8), y = (value) => size - pad - value * (size - pad - 8);
  return svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": "share right by score" },
    [0, 0.5, 1].map((value) => [
      svg("line", { class: "rule", x1: x(0), x2: x(1), y1: y(value), y2: y(value) }),
      svg("text", { x: pad - 6, y: y(value) + 3.5, "text-anchor": "end" }, String(value)),
      svg("text", { x: x(value), y: size - pad + 14, "text-anchor": "middle" }, String(value))]),
    svg("line", { class: "cross", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    svg("text", { x: x(0.5), y: size - 3, "text-anchor": "middle" }, "score"),
    stretches.map((each) => svg("g", { class: each.name, colour: data.arms[arm].colour },
      svg("path", { class: "curve", d: path(each.bins.map((bin) => bin[0]), each.bins.map((bin) => bin[1]), x, y) }),
      each.bins.map(([score, share, error, rows]) => [
        svg("line", { stroke: "var(--c)", x1: x(score), x2: x(score), y1: y(Math.min(1, share + error)), y2: y(Math.max(0, share - error)) }),
        svg("circle", { class: "bar", cx: x(score), cy: y(share), r: Math.min(5, 1.5 + Math.sqrt(rows) / 12) },
          svg("title", {}, `${each.name}: score ${score.toFixed(2)}, ${percent(share)} right, ${rows} completions`))]))));
}

function bars(rows, colour, scale) {
  const most = scale || Math.max(...rows.map((row) => row.value), 1e-12);
  return el("div", { class: "bars", colour }, rows.map((row) => [
    el("span", { class: row.mono ? "mono" : null }, row.name),
    el("span", { class: "track" }, el("div", { class: `fill ${row.kind || ""}`, width: `${(100 * row.value) / most}%` })),
    el("span", {}, row.said)]));
}

function histogram(lengths, colour) {
  const w = 340, h = 110, pad = 18, most = Math.max(...lengths.shares.flat(), 1e-9);
  const last = lengths.edges[lengths.edges.length - 1], x = (value) => (value / last) * w;
  const steps = (shares) => shares.map((share, place) =>
    `${x(lengths.edges[place]).toFixed(1)} ${(h - pad - (share / most) * (h - pad - 6)).toFixed(1)}L${x(lengths.edges[place + 1]).toFixed(1)} ${(h - pad - (share / most) * (h - pad - 6)).toFixed(1)}`).join("L");
  return svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": "lengths early and late" },
    svg("line", { class: "rule", x1: 0, x2: w, y1: h - pad, y2: h - pad }),
    svg("path", { d: `M0 ${h - pad}L${steps(lengths.shares[0])}L${w} ${h - pad}Z`, fill: "var(--faint)", opacity: ".35" }),
    svg("g", { colour }, svg("path", { class: "curve", d: `M${steps(lengths.shares[1])}` })),
    ticks(0, last, 5).map((value) => svg("text", { x: Math.min(Math.max(x(value), 6), w - 8), y: h - 5, "text-anchor": "middle" }, short(value))));
}
