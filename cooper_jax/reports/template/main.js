// Draw all of it; then keys, theme, and the address.
const THEME = "cooper-report-theme";
function theme(name) { document.documentElement.dataset.theme = name; }
function remembered() {
  try { return localStorage.getItem(THEME); } catch { return null; } // Not every browser lets a file keep something.
}
theme(remembered() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
$(".theme").addEventListener("click", () => {
  theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  try { localStorage.setItem(THEME, document.documentElement.dataset.theme); } catch { return; }
});

armChips();
for (const draw of [drawHead, drawSummary, drawCurves, drawModel, drawSamples, drawPairs, drawNovelty, drawTime, drawSetup]) draw();

function goTo() {
  const values = address.read();
  if (values.section !== undefined) {
    if (COUNT && !rows.length && picked === null) refresh(true);
    document.getElementById(values.section)?.scrollIntoView();
    return;
  }
  if (COUNT) follow(values);
  document.getElementById("samples").scrollIntoView();
}
addEventListener("hashchange", goTo);
goTo();

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range";
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !COUNT) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") { event.preventDefault(); $("#samples").scrollIntoView(); parts.search.focus(); }
});

const links = new Map($$("nav .sections a").map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    for (const link of links.values()) link.classList.remove("here");
    links.get(entry.target.id).classList.add("here");
  }
}, { rootMargin: "-80px 0px -75% 0px" });
for (const section of $$("main section")) seen.observe(section);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
