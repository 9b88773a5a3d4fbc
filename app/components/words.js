// What the panel says about the particle and about the pictures.

const SLIDERS = [
  ["energy_gev", "Energy E", "GeV"], ["px_gev", "px", "GeV"], ["py_gev", "py", "GeV"],
  ["vx_cm", "Vertex x", "cm"], ["vy_cm", "Vertex y", "cm"], ["vz_cm", "Vertex z", "cm"],
];

function caption(live, name, title, detail) {
  const place = live.at(name), said = [...title, detail].join("\n");
  if (place.said === said) return;
  place.said = said;
  const bold = document.createElement("b"), small = document.createElement("span");
  [bold.textContent, small.textContent, small.className] = [title[0], detail, "muted"];
  place.replaceChildren(bold, title[1] ?? "", document.createElement("br"), small);
}

function lightOf(made) { // light of what is drawn
  if (made.one) return ` · Σ ${photons(made.sum)} photons`;
  return ` · Σ ${photons(made.sum)}, σ ${photons(made.spread)} photons`;
}

function drawnOf(made) { return made.one ? "" : `, ${made.drawn === "sigma" ? "σ" : "mean"} of ${made.n}`; }

function spot([x, y]) { return `impact x ${signed(x)}, y ${signed(y)} mm`; }

function captions(live) {
  const { real, config, sight } = live, first = live.models[0], { made } = first, one = sight.shown === "one";
  if (made) {
    caption(live, ".made", ["Generated" + drawnOf({ ...made, drawn: sight.shown }), lightOf(made)],
      `${first.name}, seed ${config.seed}, ${spot(made.impact)}${made.walk ? ", noise walked" : ""}`);
    live.at(".generated").setAttribute("aria-label", `Generated${drawnOf({ ...made, drawn: sight.shown })}, `
      + `${photons(made.sum)} photons, energy ${made.energy} GeV. Drag to move the impact point; arrow keys read fibres, Enter aims at one.`);
  } else caption(live, ".made", ["Generated"], first.said);
  if (real) {
    const of = one ? (real.n > 1 ? `, middle of ${real.n} replicas` : ", nearest")
      : `, ${sight.shown === "sigma" ? "σ" : "mean"} of ${real.n}`;
    caption(live, ".real", ["Simulation" + of, ` · Σ ${photons(one ? real.sum : real.meanSum)}`],
      `nearest: ${real.symbol}, ${photons(real.energy)} GeV, x ${signed(real.impact[0])}, y ${signed(real.impact[1])} mm`);
    live.at(".simulated").setAttribute("aria-label", `Nearest simulated shower, ${photons(real.sum)} photons`);
  } else caption(live, ".real", ["Simulation"], live.realSaid);
  const difference = differenceOf(live);
  if (difference) {
    caption(live, ".difference", ["Residual", ` · Σ ${signed(difference.sum, 0)}`],
      `mean of ${difference.n} generated − mean of ${real.n} simulated`);
    live.at(".residual").setAttribute("aria-label", `Residual, generated mean minus simulated mean, from `
      + `${signed(-difference.top)} (blue) over 0 (white) to ${signed(difference.top)} photons (red)`);
  } else caption(live, ".difference", ["Residual"], "");
  for (const model of live.models.slice(1)) {
    const name = `#${model.id} figcaption`;
    if (!model.made) { caption(live, name, [model.name], model.said || "…"); continue; }
    caption(live, name, [model.name, lightOf(model.made)],
      model.said || `${drawnOf({ ...model.made, drawn: sight.shown }).slice(2) || "same seed"}, ${round(model.made.ms, 3)} ms per shower`);
    live.at(`#${model.id} canvas`).setAttribute("aria-label", `${model.name}: ${photons(model.made.sum)} photons`);
  }
}

function readout(live) {
  const box = live.at(".readout");
  if (!live.fibre) {
    say(box, "Point at a fibre, or focus a picture and use the arrow keys. Drag on the large picture to aim.");
    return;
  }
  const [nx, ny] = live.config.detector.shape, pitch = live.config.detector.pitch_mm, [i, j] = live.fibre;
  const value = (values) => values ? photons(values[i * ny + j]) : "–";
  const difference = differenceOf(live), own = live.config.readout;
  box.textContent = `fibre (${i}, ${j}) · x ${signed((i + 0.5 - nx / 2) * pitch)} mm, `
    + `y ${signed((j + 0.5 - ny / 2) * pitch)} mm · generated ${value(drawnValues(live, live.models[0].made))}, `
    + `simulated ${value(drawnValues(live, live.real))} photons`
    + live.models.slice(1).map((model) => `, ${model.name} ${value(drawnValues(live, model.made))}`).join("")
    + (difference ? `, residual ${signed(difference.values[i * ny + j], 2)}` : "")
    + (own ? ` · channel ${own.channel[i * ny + j] + 1}` : "");
}

function dependent(live, pz) { // conditions that follow from species, energy and momentum
  const p = live.particle, kind = kindOf(live), side = p.side < 0 ? "−" : "";
  const rows = [["pz", Number.isNaN(pz) ? "none: off the mass shell" : `${side}${round(Math.abs(pz), 6)} GeV`],
    ["mass", `${round(kind.mass_mev, 6)} MeV`], ["charge", `${kind.charge_e} e`]];
  const said = rows.join("\n");
  if (live.shellSaid !== said) live.at(".shell").replaceChildren(...rows.flatMap(([name, value]) => [
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: value })]));
  live.shellSaid = said;
  say(live.at(".vertex summary .muted"),
    `(${[p.vx_cm, p.vy_cm, p.vz_cm].map((v) => round(v, 3)).join(", ")}) cm, towards z ${p.side < 0 ? "<" : ">"} 0`);
}

function describe(live) {
  const p = live.particle, pz = pzOf(live), kind = kindOf(live), made = live.models[0]?.made;
  dependent(live, pz);
  const box = live.at(".range"), outside = [];
  for (const [name, title, unit] of SLIDERS) {
    const axis = live.config.axes[name];
    const out = axis && (p[name] < axis.lo || p[name] > axis.hi);
    live.rows[name]?.classList.toggle("outside", Boolean(out));
    if (out) outside.push(`${title} (${round(axis.lo, 3)} to ${round(axis.hi, 3)} ${unit})`);
  }
  if (Number.isNaN(pz)) {
    box.className = "range wrong";
    live.root.dataset.state = "refused";
    box.textContent = `Not a particle: ${p.energy_gev} GeV does not carry the mass of a ${kind.name} and this `
      + "transverse momentum. Raise the energy or lower px, py.";
    return;
  }
  const ood = made?.ood, far = outside.length || kind.trained === false || ood > 0.99;
  const share = ood === undefined ? "" : ood >= 1 ? "further out than every training particle"
    : `further out than ${(100 * ood).toFixed(0)} % of training particles`;
  const looks = far ? "range far" : "range";
  if (box.className !== looks) box.className = looks;
  const lines = [];
  if (kind.trained === false) lines.push(`${kind.name} was not in training.`);
  if (outside.length) lines.push(`Outside the 1–99 % training range: ${outside.join(", ")}.`);
  lines.push(...(made?.warnings ?? []));
  if (share) lines.push((far ? "Extrapolation: " : "Inside the training range: ") + share + ".");
  say(box, lines.join(" "));
}
