// Where a training stands, asked once a second; news goes to Python, which draws the page around this part again.

const EVERY_MS = 1000;
const LOST_MS = 10000; // after which news that drew nothing is told again

function write(live, { share, name, words }) {
  const percent = Math.round(100 * share), { bar } = live;
  live.root.querySelector("b").textContent = name;
  live.root.querySelector("span").textContent = words;
  bar.firstElementChild.style.transform = `scaleX(${share})`;
  bar.setAttribute("aria-valuenow", percent);
  bar.setAttribute("aria-label", `${name}, share of the training that is done`);
}

async function beat(live) {
  const before = live.data, asked = before.ask;
  if (!asked || live.asking || document.hidden) return;
  live.asking = true;
  const said = await ask(before, "pulse", asked);
  live.asking = false;
  if (before !== live.data) return; // drawn anew meanwhile
  if (said?.words) write(live, said);
  const news = said ? said.news : asked.again ? "" : "page", now = performance.now();
  if (!news || now - (live.told ?? -LOST_MS) < LOST_MS) return;
  if (news.includes("page")) live.told = now;
  else Object.assign(asked, said.known); // parts are drawn without this one
  live.tell(news);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".ss-pulse");
  const live = (parentElement.pulse ??= { root, bar: root.querySelector(".ss-pulse-bar") });
  Object.assign(live, { data, told: undefined, tell: (news) => setTriggerValue("news", news) });
  write(live, data);
  clearInterval(live.timer);
  const timer = live.timer = setInterval(() => beat(live), EVERY_MS);
  return () => clearInterval(timer);
}
