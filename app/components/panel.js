// The live instrument of the Generate page. Python gives conditions, ranges and the key of /api; this draws showers
// while something is dragged, and tells Python the particle, and how it is looked at, when it is let go.

const OFS = [16, 64, 256];

function drawnValues(live, made) { // what of an answer is drawn
  return made ? { one: made.shower, mean: made.mean, sigma: made.sigma }[live.sight.shown] : undefined;
}

function differenceOf(live) { // generated mean − simulated mean, and the largest distance from 0
  const made = live.models[0].made, means = live.sight.shown === "one" ? live.means : made?.mean ? made : null;
  if (!means?.mean || !live.real) return null;
  const key = [means, live.real];
  if (live.difference?.key.every((part, k) => part === key[k])) return live.difference;
  const values = Float32Array.from(means.mean, (v, k) => v - live.real.mean[k]);
  let top = 1;
  for (const v of values) top = Math.max(top, Math.abs(v));
  live.difference = { key, values, top, n: means.n, sum: light(values) };
  return live.difference;
}

function scenesOf(live) { // every face: where it is drawn, what, and whose words stand above
  const first = live.models[0].made, { real, sight } = live, difference = differenceOf(live);
  const drawn = [
    { at: ".generated", words: ".made", values: drawnValues(live, first), impact: first?.impact },
    { at: ".simulated", words: ".real", values: drawnValues(live, real), impact: real?.impact },
    ...live.models.slice(1).map((model) => ({ at: `#${model.id} canvas`, words: `#${model.id} figcaption`,
      values: drawnValues(live, model.made), impact: model.made?.impact })),
  ];
  let top = sight.top;
  if (top === null) {
    top = 5;
    for (const { values } of drawn) if (values) for (const v of values) if (v > top) top = v;
  }
  live.top = top;
  const scenes = drawn.map(({ at, words, ...scene }) => ({ at, words, scene: { ...scene, top, log: sight.log } }));
  const residual = { values: difference?.values, top: difference?.top ?? 1, log: false, residual: true };
  scenes.splice(2, 0, { at: ".residual", words: ".difference", scene: residual });
  return scenes;
}

function draw(live) {
  live.queued = false;
  const scenes = scenesOf(live);
  for (const { at, scene } of scenes) paint(live, live.at(at), scene);
  paintBar(live, live.at(".bar"), scenes[0].scene, live.at(".generated"));
  paintBar(live, live.at(".scale"), scenes[2].scene, live.at(".residual"));
  captions(live); readout(live);
  const made = live.models[0].made;
  if (made?.fresh) {
    made.fresh = false;
    live.frames += 1;
    live.seen.add(made.hash);
    const data = live.root.dataset;
    data.frames = live.frames; data.distinct = live.seen.size; data.hash = made.hash; data.shown = live.sight.shown;
    data.sum = made.sum; data.energy = made.energy; data.impact = made.impact.map((mm) => mm.toFixed(2)).join(",");
    data.ms = (performance.now() - made.asked).toFixed(1);
  }
}

function schedule(live) {
  if (live.queued) return;
  live.queued = true;
  requestAnimationFrame(() => draw(live));
}

function showSight(live) {
  const { sight } = live, check = (name, value) => {
    for (const input of live.root.querySelectorAll(`[name=${name}]`)) input.checked = input.value === value;
  };
  check("scale", sight.log ? "log" : "linear"); check("shown", sight.shown);
  live.at(".of").value = sight.of; live.at(".many").classList.toggle("off", sight.shown === "one");
  live.at(".lock").checked = sight.top !== null;
  live.at(".towers").checked = sight.towers; live.at(".common").checked = sight.common;
  live.at(".aimed").checked = sight.aimed;
  showWalk(live); legend(live);
}

function listen(live) {
  const changed = (change, asks) => (event) => {
    change(event.target);
    showSight(live);
    if (asks) refresh(live);
    schedule(live); live.tell();
  };
  live.at(".of").replaceChildren(...OFS.map((n) => new Option(n, n)));
  for (const input of live.root.querySelectorAll("[name=scale]")) {
    input.onchange = changed((at) => { live.sight.log = at.value === "log"; });
  }
  for (const input of live.root.querySelectorAll("[name=shown]")) {
    input.onchange = changed((at) => { live.sight.shown = at.value; }, true);
  }
  live.at(".of").onchange = changed((at) => { live.sight.of = Number(at.value); }, true);
  live.at(".lock").onchange = changed((at) => { live.sight.top = at.checked ? round(live.top, 6) : null; });
  for (const name of ["towers", "common"]) live.at(`.${name}`).onchange = changed((at) => { live.sight[name] = at.checked; });
  for (const canvas of [".generated", ".simulated", ".residual"]) readsFibres(live, live.at(canvas));
  buildPad(live);
  new ResizeObserver(() => { forgetSizes(live); schedule(live); schedulePad(live); }).observe(live.at(".stage"));
}

function readsFibres(live, canvas) {
  const [clamp, shape] = [(k, n) => Math.min(n - 1, Math.max(0, k)), () => live.config.detector.shape];
  canvas.addEventListener("pointermove", (event) => {
    const [nx, ny] = shape();
    const i = Math.floor((event.offsetX - MARGIN.left) / canvas.cell);
    const j = ny - 1 - Math.floor((event.offsetY - MARGIN.top) / canvas.cell);
    live.fibre = i >= 0 && j >= 0 && i < nx && j < ny ? [i, j] : null;
    schedule(live);
  });
  canvas.addEventListener("pointerleave", () => { live.fibre = null; schedule(live); });
  canvas.addEventListener("keydown", (event) => {
    const [nx, ny] = shape(), pitch = live.config.detector.pitch_mm;
    if (event.key === "Enter" && live.fibre && canvas === live.at(".generated")) {
      aimAt(live, [(live.fibre[0] + 0.5 - nx / 2) * pitch, (live.fibre[1] + 0.5 - ny / 2) * pitch]);
      live.release();
      return;
    }
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const from = live.fibre ?? [nx >> 1, ny >> 1];
    live.fibre = [clamp(from[0] + move[0], nx), clamp(from[1] + move[1], ny)];
    schedule(live);
  });
}

function setModels(live, models) { // those that stay keep their last picture
  const old = new Map(live.models.map((model) => [model.run, model]));
  live.models = models.map((model, k) => Object.assign(old.get(model.run) ?? {}, model, { id: `other-${k}`, wanted: true }));
  live.at(".others").replaceChildren(...live.models.slice(1).map((model) => {
    const figure = document.createElement("figure");
    figure.id = model.id;
    figure.innerHTML = '<figcaption></figcaption><canvas class="other" tabindex="0" role="img"></canvas>';
    readsFibres(live, figure.querySelector("canvas"));
    return figure;
  }));
}

function open(parentElement) {
  const root = parentElement.querySelector(".root");
  const live = { root, at: (selector) => root.querySelector(selector), small: document.createElement("canvas"), models: [{}],
    save: (event) => savePictures(live, event.detail), rows: {}, seen: new Set(), frames: 0, top: 5, wait: 0, meansAt: 0, revision: null, particle: {}, sight: {}, target: null };
  listen(live);
  return live;
}

function readoutOf({ readout: own }) {
  if (!own) return null;
  const [towers, common, channel] = [own.towers, own.common, own.channel].map(readBytes);
  return { ...own, towers, common, channel };
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const live = (parentElement.showerscope ??= open(parentElement));
  const before = live.told;
  live.ink = null; // the theme may have changed
  live.told = data;
  const changed = (...names) => !before || names.some((name) => JSON.stringify(before[name]) !== JSON.stringify(data[name]));
  const kept = changed("readout") ? readoutOf(data) : live.readout;
  live.readout = kept;
  live.config = { ...data, readout: kept, palette: readBytes(data.palette), diverging: readBytes(data.diverging) };
  live.at(".label").textContent = `Simulation: ${data.label}.`;
  live.release = () => { if (!Number.isNaN(pzOf(live))) setStateValue("particle", { ...live.particle }); };
  live.tell = () => setStateValue("sight", { ...live.sight });
  const form = JSON.stringify([data.axes, data.particles, data.presets, data.pad]);
  const models = changed("models"), fresh = live.form !== form || live.revision !== data.revision;
  if (models) setModels(live, data.models);
  if (fresh) {
    live.form = form;
    if (!live.particle.pdg || live.revision !== data.revision) { live.particle = { ...data.particle }; live.sight = { ...data.sight }; }
    live.revision = data.revision;
    live.at(".why").textContent = "A preset says why it is worth a look.";
    tintCloud(live);
    buildForm(live); buildWalk(live);
    showSight(live);
    setParticle(live, {});
  } else {
    legend(live);
    if (models || live.root.dataset.state === "stale" || changed("seed", "data", "convention")) refresh(live);
    else { schedule(live); schedulePad(live); }
  }
  window.addEventListener("showerscope:save", live.save);
  return () => {
    clearTimeout(live.timer); live.wait = 0;
    window.removeEventListener("showerscope:save", live.save);
  };
}
