// The live instrument of the Generate page. Python gives conditions, ranges and the key of /api; this draws showers
// while a slider moves, and tells Python the particle when it is let go.

const SLIDERS = [
  ["energy_gev", "Energy E", "GeV"], ["px_gev", "px", "GeV"], ["py_gev", "py", "GeV"],
  ["vx_cm", "Vertex x", "cm"], ["vy_cm", "Vertex y", "cm"], ["vz_cm", "Vertex z", "cm"],
];
const STEPS = 2000;

function sliderRow(live, name, title, unit) {
  const axis = live.config.axes[name], row = document.createElement("div");
  row.className = "row";
  row.innerHTML = `<div class="head"><label for="${name}">${title}</label>
    <input id="${name}-number" type="number" step="any" aria-label="${title} in ${unit}">
    <span class="unit">${unit}</span></div>
    <div class="track"><div class="line"></div><div class="shade"></div>
    <input id="${name}" type="range" min="0" max="${STEPS}" step="1"></div>`;
  const [number, range] = [row.querySelector("[type=number]"), row.querySelector("[type=range]")];
  const lo = toSlider(axis, axis.lo) / STEPS, hi = toSlider(axis, axis.hi) / STEPS;
  const shade = row.querySelector(".shade");
  shade.style.left = `calc(7px + (100% - 14px) * ${lo})`;
  shade.style.width = `calc((100% - 14px) * ${hi - lo})`;
  shade.title = range.title = `training range (1–99 %): ${round(axis.lo, 3)} to ${round(axis.hi, 3)} ${unit}`;
  const show = () => {
    if (live.root.getRootNode().activeElement !== number) number.value = live.particle[name];
    range.value = toSlider(axis, live.particle[name]);
    range.setAttribute("aria-valuetext", `${live.particle[name]} ${unit}`);
  };
  range.oninput = () => { live.particle[name] = fromSlider(axis, Number(range.value)); show(); refresh(live); };
  range.onchange = () => live.release();
  number.oninput = () => {
    const value = Number(number.value);
    if (number.value === "" || !Number.isFinite(value)) return;
    live.particle[name] = value; show(); refresh(live);
  };
  number.onchange = () => { number.value = live.particle[name]; live.release(); };
  row.show = show;
  live.rows[name] = row;
  return row;
}

function buildForm(live) {
  const picker = live.at(".picker"), groups = live.root.querySelectorAll(".sliders");
  picker.replaceChildren(...live.config.particles.map((kind) => {
    const label = document.createElement("label");
    label.title = `${kind.name}, mass ${kind.mass_mev} MeV, charge ${kind.charge_e} e`
      + (kind.trained ? "" : "; not in training");
    label.classList.toggle("untrained", !kind.trained);
    const input = Object.assign(document.createElement("input"),
      { type: "radio", name: "pdg", value: kind.pdg, checked: kind.pdg === live.particle.pdg });
    input.setAttribute("aria-label", kind.name);
    input.onchange = () => { live.particle.pdg = kind.pdg; refresh(live); live.release(); };
    label.append(input, kind.symbol);
    return label;
  }));
  live.rows = {};
  const known = SLIDERS.filter(([name]) => live.config.axes[name]);
  groups[0].replaceChildren(...known.slice(0, 3).map((row) => sliderRow(live, ...row)));
  groups[1].replaceChildren(...known.slice(3).map((row) => sliderRow(live, ...row)), sideRow(live));
  live.at(".presets").replaceChildren(...live.config.presets.map((preset) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: preset.name });
    button.onclick = () => { setParticle(live, preset.particle); live.release(); };
    return button;
  }));
}

function sideRow(live) {
  const row = document.createElement("div");
  row.className = "row tools";
  row.innerHTML = `<span>Flies towards</span>` + [[1, "z > 0"], [-1, "z < 0"]].map(([side, word]) =>
    `<label><input type="radio" name="side" value="${side}"> ${word}</label>`).join("");
  for (const input of row.querySelectorAll("input")) {
    input.onchange = () => { live.particle.side = Number(input.value); refresh(live); live.release(); };
  }
  row.show = () => { for (const i of row.querySelectorAll("input")) i.checked = Number(i.value) === live.particle.side; };
  live.rows.side = row;
  return row;
}

function setParticle(live, particle) {
  live.particle = { ...live.particle, ...particle };
  for (const input of live.root.querySelectorAll(".picker input")) input.checked = Number(input.value) === live.particle.pdg;
  for (const row of Object.values(live.rows)) row.show();
  refresh(live);
}

function listen(live) {
  for (const input of live.root.querySelectorAll("[name=scale]")) {
    input.onchange = () => { live.log = input.value === "log"; schedule(live); };
  }
  live.at(".lock").onchange = (event) => { live.locked = event.target.checked; schedule(live); };
  live.at(".save").onclick = () => savePicture(live);
  for (const canvas of [live.at(".generated"), live.at(".simulated")]) {
    canvas.onpointermove = (event) => {
      const [nx, ny] = live.config.detector.shape;
      const i = Math.floor((event.offsetX - MARGIN.left) / canvas.cell);
      const j = ny - 1 - Math.floor((event.offsetY - MARGIN.top) / canvas.cell);
      live.fibre = i >= 0 && j >= 0 && i < nx && j < ny ? [i, j] : null;
      schedule(live);
    };
    canvas.onpointerleave = () => { live.fibre = null; schedule(live); };
    canvas.onkeydown = (event) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!move) return;
      event.preventDefault();
      const [nx, ny] = live.config.detector.shape, from = live.fibre ?? [nx >> 1, ny >> 1];
      live.fibre = [Math.min(nx - 1, Math.max(0, from[0] + move[0])), Math.min(ny - 1, Math.max(0, from[1] + move[1]))];
      schedule(live);
    };
  }
  new ResizeObserver(() => schedule(live)).observe(live.at(".pair"));
}

function savePicture(live) { // both pictures and the colour bar, on the page's background
  const parts = [live.at(".generated"), live.at(".simulated"), live.at(".bar")];
  const sheet = document.createElement("canvas");
  sheet.width = parts.reduce((sum, part) => sum + part.width + 12, 0);
  const ratio = window.devicePixelRatio || 1, line = 16 * ratio, head = 4 * line;
  sheet.height = head + line / 2 + Math.max(...parts.map((part) => part.height));
  const pen = sheet.getContext("2d");
  pen.fillStyle = live.config.background;
  pen.fillRect(0, 0, sheet.width, sheet.height);
  pen.fillStyle = getComputedStyle(live.root).color;
  pen.font = `${12 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
  let x = 0;
  for (const [k, part] of parts.entries()) {
    const words = [live.at(".made"), live.at(".real")][k]?.innerText.split("\n") ?? [];
    words.forEach((text, row) => pen.fillText(text, x + MARGIN.left * ratio, line * (row + 1.2), part.width));
    pen.drawImage(part, x, head - line); x += part.width + 12;
  }
  pen.fillText(live.at(".label").textContent, MARGIN.left * ratio, sheet.height - line / 2, sheet.width);
  const link = document.createElement("a");
  link.download = `shower_pdg${live.particle.pdg}_E${live.particle.energy_gev}GeV_seed${live.config.seed}.png`;
  link.href = sheet.toDataURL("image/png");
  link.click();
}

function open(parentElement) {
  const root = parentElement.querySelector(".root");
  const live = { root, at: (selector) => root.querySelector(selector), small: document.createElement("canvas"),
    rows: {}, seen: new Set(), frames: 0, top: 5, log: true, locked: false, wait: 0, revision: null, particle: {} };
  listen(live);
  return live;
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const live = (parentElement.showerscope ??= open(parentElement));
  const before = live.config;
  const palette = live.config?.palette ?? Uint8Array.from(atob(data.palette), (c) => c.charCodeAt(0));
  live.config = { ...data, palette };
  live.at(".label").textContent = `Simulation: ${data.label}.`;
  live.release = () => { if (!Number.isNaN(pzOf(live))) setStateValue("particle", { ...live.particle }); };
  const form = JSON.stringify([data.axes, data.particles, data.presets]);
  if (live.form !== form || live.revision !== data.revision) {
    live.form = form; live.revision = data.revision;
    if (!live.particle.pdg || before?.revision !== data.revision) live.particle = { ...data.particle };
    buildForm(live);
    setParticle(live, {});
  } else if (["run", "step", "seed", "data", "convention"].some((name) => before[name] !== data[name])) {
    refresh(live);
  } else schedule(live);
  return () => clearTimeout(live.timer);
}
