// Summary, curves, the reward model, novelty, time, setup.
function drawHead() {
  const seeds = data.runs.length, steps = Math.max(...data.runs.map((run) => run.last));
  $("h1").textContent = data.arms.map((arm) => arm.name).join(" · ");
  $(".made").textContent = `${seeds} ${seeds === 1 ? "run" : "runs"} of cooper ${data.program}, ${steps} steps · made ${data.made} · cooper_jax ${data.version}`;
}

const placed = (look, run) => (look[1].includes("=") ? `#run=${run}&${look[1]}` : `#${look[1]}`);
const WORDS = {
  hacked: "Hacked", collapsed: "Collapsed", declined: "Past its best", drifting: "Drifting", learned: "Learned",
  unchanged: "Unchanged", unknown: "Cannot tell", trained: "Trained",
};
function drawSummary() {
  body("summary").append(...data.findings.map((finding, arm) => {
    const { rows } = finding, one = rows[0];
    const state = rows.length === 1 ? one.state
      : `${rows.filter((row) => row.finished).length} of ${rows.length} seeds finished`;
    return el("div", { class: "finding", colour: data.arms[arm].colour },
      el("div", {}, el("div", { class: `word ${finding.word}` }, WORDS[finding.word]),
        el("div", { class: "who" }, data.arms[arm].name), el("div", { class: "who" }, state)),
      el("div", {}, el("p", {}, finding.said), rows.length === 1
        ? el("p", { class: "made" }, `Best at step ${one.best}; ${one.checkpoint}.`)
        : table(["seed", "", ">first", ">best", ">at step", ">last", ">reward", ">gap", ">since", "", ""], rows.map((row) => [
          data.runs[row.run].seed, WORDS[row.word], number(row.figures.first, 2), number(row.figures.best, 2), row.best,
          number(row.figures.last, 2), number(row.figures.reward, 2), number(row.figures.gap, 2), row.since || "–",
          row.checkpoint, row.finished ? "" : row.state]))),
      el("div", { class: "look" }, el("b", {}, "Look first at"),
        el("ol", {}, finding.looks.map((look) => el("li", {}, el("a", { href: placed(look, finding.leads) }, look[0]))))));
  }), ...data.runs.flatMap((run) => run.notes.map((note) => none(`${run.dir}: ${note}.`))));
}

function drawCurves() {
  const groups = [...new Set(data.charts.map((chart) => chart.group))];
  const several = data.arms.some((arm) => arm.runs.length > 1);
  body("curves").append(el("p", { class: "note" },
    several ? "Bold: mean over seeds, each a running mean of a fortieth of the run; band: its standard error; thin: the seeds."
      : "Bold: running mean over a fortieth of the run; thin: as logged; band of held-out accuracy: its standard error over questions.",
    " Point at a chart to read all of them at that step."),
  ...groups.flatMap((group) => [el("h3", {}, group),
    el("div", { class: "grid" }, data.charts.filter((chart) => chart.group === group).map(lineChart))]));
  const made = data.refusals.map((each, arm) => each && el("div", {},
    el("p", { class: "made" }, dot(arm), ` ${data.arms[arm].name}: ${number(each.valid)} pairs, ${percent(each.on_policy / each.valid)} of them with a sample of the policy; ${number(each.refused)} of ${number(each.asked)} rewritings refused`),
    bars(Object.entries(each.why).sort((a, b) => b[1] - a[1]).map(([name, value]) => ({ name, value, said: number(value) })), data.arms[arm].colour)));
  if (made.some(Boolean)) body("curves").append(el("h3", {}, "Rewritings refused, and why"), el("div", { class: "columns" }, made));
}

function drawModel() {
  const scored = data.classifier.map((stretches, arm) => ({ stretches, arm })).filter((each) => each.stretches.length);
  if (!scored.length) {
    body("model").append(none(data.samples.columns.run.length
      ? "No completion here has a score: the rule itself was the reward."
      : "No samples were kept, so the reliability curve cannot be drawn. The curves above show the reward model step by step."));
    return;
  }
  body("model").append(el("p", { class: "note" },
    "Of all kept samples whose verdict is known, in thirds of the run (faint: early; strong: late). Left: of completions with such a score, the share that the rule calls right; the dotted line is a calibrated score. J is recall − false-positive rate."),
  el("div", { class: "columns broad" }, scored.map(({ stretches, arm }) => el("div", { "data-arm": arm },
    el("p", { class: "made" }, dot(arm), ` ${data.arms[arm].name}`),
    el("div", { class: "reliability" }, reliability(arm, stretches), table(["steps", ">rows", ">precision", ">recall", ">FPR", ">J", ">AUROC", ">ECE"], stretches.map((each) => [
      `${each.first}–${each.last}`, number(each.rows), number(each.precision, 2), number(each.recall, 2),
      number(each.false_positive_rate, 2),
      each.j === undefined ? "–" : `${number(each.j, 2)} ± ${number(each.j_error, 2)}`, number(each.auroc, 2), number(each.ece, 2)])))))));
}

function grown(title, rows, arm, most) {
  const { runs } = data.arms[arm], where = runs.length > 1 ? { of: "all" } : { run: runs[0] };
  if (!rows.length) return el("p", { class: "made grown" }, `${title}: nothing grew beyond chance.`);
  return el("div", { class: "grown" }, table([title, ">early", ">late", ">right"], rows.slice(0, most).map((row) => [
    el("a", { class: "mono", href: address.of({ ...where, with: row.text, sort: "step" }) }, row.text),
    percent(row.was), percent(row.now), percent(row.right)])));
}
function drawNovelty() {
  const some = data.novelty.map((each, arm) => ({ each, arm })).filter(({ each }) => each && (each.paid || each.all));
  if (!some.length) {
    body("novelty").append(none(data.samples.columns.run.length
      ? "Too few samples early or late to compare them." : "No samples were kept to compare."));
    return;
  }
  body("novelty").append(el("p", { class: "note" },
    "Completions of the last third of the run beside those of the first: those paid above ½, and all. Every number reads ‹n› in phrases; numbers stand for themselves alone, and in endings. What more of them contain than before, surest first. “Right” is the share that the rule calls right among late ones that contain it. A phrase that grows and is wrong is a trick: among the paid it works, among all alone the reward model has seen it and the policy has not dropped it. Choose one to see its samples."),
  ...some.map(({ each, arm }) => el("div", { "data-arm": arm }, el("h3", {}, dot(arm), ` ${data.arms[arm].name}`),
    among("Paid well", each.paid, arm), among("All", each.all, arm))));
}
function among(title, found, arm) {
  if (!found) return el("p", { class: "made" }, `${title}: too few early or late to compare.`);
  const side = ({ first, last, rows, right }) => `steps ${first}–${last} (${number(rows)} read, ${percent(right)} right)`;
  return el("div", {}, el("p", { class: "made" }, `${title}: ${side(found.early)} → ${side(found.late)}`),
    el("div", { class: "columns three" }, found.grams.length + found.openings.length + found.endings.length === 0
      ? el("p", { class: "made" }, "Nothing grew beyond chance: no phrase, opening or ending.")
      : [el("div", {}, grown("Anywhere", found.grams, arm, 12)),
        el("div", {}, grown("Openings", found.openings, arm, 6), grown("Endings", found.endings, arm, 6))],
      el("div", {}, el("p", { class: "made" }, `Tokens: median ${found.lengths.medians[0]} early (grey), ${found.lengths.medians[1]} late`),
        histogram(found.lengths, data.arms[arm].colour))));
}

function drawTime() {
  const most = Math.max(...data.time.flatMap((each) => each.phases.map((phase) => phase.seconds)));
  body("time").append(el("p", { class: "note" },
    "Mean seconds a step, the first two left out. Strong: phases of the device, one after the other; pale: of the host, beside them; grey: the host waits. Goodput: share of the steps' wall time in which the device worked on steps whose update was applied."),
  el("div", { class: "columns" }, data.time.map((each, arm) => el("div", { "data-arm": arm },
    el("p", { class: "made" }, dot(arm), ` ${data.arms[arm].name}: ${seconds(each.step)} a step, ${each.hours < 1 ? `${number(60 * each.hours, 1)} min` : `${number(each.hours, 1)} h`} in steps · device idle ${percent(each.idle)} · goodput ${percent(each.goodput)}${each.tokens ? ` · ${number(each.tokens)} tokens/s` : ""}`),
    bars(each.phases.map((phase) => ({ name: phase.phase, value: phase.seconds, said: seconds(phase.seconds), kind: phase.row })), data.arms[arm].colour, most)))));
}

function drawSetup() {
  const { settings, differs } = data.setup, code = (text) => el("span", { class: "mono" }, text);
  if (differs.length) {
    body("setup").append(el("h3", {}, "Difference of the arms"),
      table(["", ...data.arms.map((arm) => arm.name)], differs.map(([name, values]) => [code(name), ...values.map(code)])));
  }
  const line = (text) => el("div", {}, text), whole = (text) => el("span", { class: "mono whole" }, text);
  const starts = data.runs.map((run) => run.starts.map(startOf)), same = new Set(starts.map((some) => some.join("\n"))).size === 1;
  body("setup").append(el("h3", {}, "Runs"), same && starts[0].length > 0 ? el("p", { class: "note" }, "All: ", starts[0].join("; then ")) : "",
    table(["run", "directory", "checkpoints", "data, first weights", same ? "" : "versions and hardware"],
      data.runs.map((run, place) => [run.name, whole(run.dir), run.checkpoints.join(", ") || "none",
        el("div", {}, Object.entries(run.inputs).map(([name, value]) => el("div", {}, `${name} `, whole(value))), !Object.keys(run.inputs).length && "not recorded"),
        same ? (starts[0].length ? "" : "versions not recorded") : el("div", {}, starts[place].map(line), !starts[place].length && "not recorded")])));
  const filter = el("input", { type: "search", placeholder: "filter settings", "aria-label": "filter settings" });
  const rows = settings.map(([name, values]) => el("tr", {}, el("td", {}, code(name)),
    el("td", {}, values.length === 1 ? code(values[0])
      : values.map((value, run) => el("div", {}, dot(data.runs[run].arm), " ", code(value))))));
  filter.addEventListener("input", () => rows.forEach((row) => {
    row.hidden = !row.textContent.toLowerCase().includes(filter.value.toLowerCase());
  }));
  body("setup").append(el("details", { class: "details" }, el("summary", {}, `All ${settings.length} settings`), filter,
    el("div", { class: "wide" }, el("table", {}, el("tbody", {}, rows)))),
  el("p", {}, el("button", { type: "button", onclick: save }, "Save this page's figures as JSON")));
}
function startOf(start) {
  const versions = Object.entries(start.versions || {}).map(([name, value]) => `${name} ${value}`).join(", ");
  return `from step ${start.step}: ${start.devices} × ${start.kind}${start.processes > 1 ? `, ${start.processes} processes` : ""}; ${versions}`;
}
function save() {
  const link = el("a", { download: "report.json", href: URL.createObjectURL(new Blob([$("#data").textContent], { type: "application/json" })) });
  link.click();
}
