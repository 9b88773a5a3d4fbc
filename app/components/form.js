// The conditions as a form: species, sliders with their numbers, presets.

const STEPS = 2000;

function toSlider(axis, value) {
  const share = axis.log ? Math.log(value / axis.min) / Math.log(axis.max / axis.min)
    : (value - axis.min) / (axis.max - axis.min);
  return Math.min(1, Math.max(0, share)) * STEPS;
}
function fromSlider(axis, position) {
  const share = position / STEPS;
  const value = axis.log ? axis.min * (axis.max / axis.min) ** share : axis.min + share * (axis.max - axis.min);
  if (Math.abs(value) < (axis.max - axis.min) / STEPS && !axis.log) return 0; // so that zero can be met
  return round(value);
}

function sliderRow(live, name, title, unit) {
  const axis = live.config.axes[name], row = document.createElement("div"), energy = name === "energy_gev";
  const label = energy
    ? `<select class="held" aria-label="What the number beside holds when the species changes">${HELD.map(([value, word]) =>
      `<option value="${value}">${word}</option>`).join("")}</select>`
    : `<label for="${name}">${title}</label>`;
  row.className = "row";
  row.innerHTML = `<div class="head">${label}
    <input id="${name}-number" type="number" step="any" aria-label="${title} in ${unit}">
    <span class="unit">${unit}</span></div>
    <div class="track"><div class="line"></div><div class="shade"></div>
    <input id="${name}" type="range" min="0" max="${STEPS}" step="1" aria-label="${title} in ${unit}"></div>`;
  const [number, range] = [row.querySelector("[type=number]"), row.querySelector("[type=range]")];
  const lo = toSlider(axis, axis.lo) / STEPS, hi = toSlider(axis, axis.hi) / STEPS;
  const shade = row.querySelector(".shade");
  shade.style.left = `calc(7px + (100% - 14px) * ${lo})`;
  shade.style.width = `calc((100% - 14px) * ${hi - lo})`;
  shade.title = range.title = `training range (1–99 %): ${round(axis.lo, 3)} to ${round(axis.hi, 3)} ${unit}`;
  const set = (value) => {
    if (energy) setEnergy(live, value); else { live.particle[name] = value; noteTarget(live); }
    showRows(live); refresh(live);
  };
  const written = () => energy ? round(heldOf(live), 9) : live.particle[name];
  row.show = () => {
    if (live.root.getRootNode().activeElement !== number) number.value = Number.isNaN(written()) ? "" : written();
    range.value = toSlider(axis, live.particle[name]);
    range.setAttribute("aria-valuetext", `${live.particle[name]} ${unit}`);
  };
  range.oninput = () => set(fromSlider(axis, Number(range.value)));
  range.onchange = () => live.release();
  number.oninput = () => {
    const value = Number(number.value);
    if (number.value !== "" && Number.isFinite(value)) set(energy ? energyFrom(live, value) : value);
  };
  number.onchange = () => { number.value = written(); live.release(); };
  if (energy) {
    const held = row.querySelector(".held");
    held.onchange = () => {
      live.sight.held = held.value;
      number.setAttribute("aria-label", `${held.selectedOptions[0].textContent} in ${unit}`);
      row.show(); live.tell();
    };
    held.value = live.sight.held;
  }
  live.rows[name] = row;
  return row;
}

function showRows(live) { for (const row of Object.values(live.rows)) row.show(); }

function buildForm(live) {
  const picker = live.at(".picker"), groups = live.root.querySelectorAll(".sliders");
  picker.replaceChildren(...live.config.particles.map((kind) => {
    const label = document.createElement("label");
    label.title = `${kind.name}, PDG ${kind.pdg}, mass ${kind.mass_mev} MeV, charge ${kind.charge_e} e`
      + (kind.trained ? "" : "; not in training");
    label.classList.toggle("untrained", !kind.trained);
    const input = Object.assign(document.createElement("input"),
      { type: "radio", name: "pdg", value: kind.pdg, checked: kind.pdg === live.particle.pdg });
    input.setAttribute("aria-label", kind.name);
    input.onchange = () => { setSpecies(live, kind.pdg); showRows(live); refresh(live); live.release(); };
    label.append(input, kind.symbol);
    return label;
  }));
  live.rows = {};
  const known = SLIDERS.filter(([name]) => live.config.axes[name]);
  groups[0].replaceChildren(...known.slice(0, 3).map((row) => sliderRow(live, ...row)));
  groups[1].replaceChildren(...known.slice(3).map((row) => sliderRow(live, ...row)), sideRow(live));
  live.at(".presets").replaceChildren(...live.config.presets.map((preset) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: preset.name, title: preset.why });
    button.onclick = () => { live.at(".why").textContent = preset.why; setParticle(live, preset.particle); live.release(); };
    return button;
  }));
}

function sideRow(live) {
  const row = document.createElement("div");
  row.className = "row tools";
  row.innerHTML = `<span>Flies towards</span>` + [[1, "z > 0"], [-1, "z < 0"]].map(([side, word]) =>
    `<label><input type="radio" name="side" value="${side}"> ${word}</label>`).join("");
  for (const input of row.querySelectorAll("input")) {
    input.onchange = () => { live.particle.side = Number(input.value); noteTarget(live); refresh(live); live.release(); };
  }
  row.show = () => { for (const i of row.querySelectorAll("input")) i.checked = Number(i.value) === live.particle.side; };
  live.rows.side = row;
  return row;
}

function setParticle(live, particle) {
  live.particle = { ...live.particle, ...particle };
  for (const input of live.root.querySelectorAll(".picker input")) input.checked = Number(input.value) === live.particle.pdg;
  noteTarget(live);
  showRows(live);
  refresh(live);
}
