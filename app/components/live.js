// What the panel asks the engine while a slider moves, and what it says about the answers.

const NEAREST_EVERY_MS = 90;
const LONGEST_WAIT_MS = 16000;

function readArrays(buffer) { // safetensors: length of the header, header, tensors
  const view = new DataView(buffer);
  const size = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const kinds = { F32: Float32Array, F64: Float64Array, I32: Int32Array, U32: Uint32Array, I16: Int16Array, U16: Uint16Array, I8: Int8Array,
    U8: Uint8Array, I64: BigInt64Array };
  const arrays = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || !kinds[entry.dtype]) continue;
    const [start, end] = entry.data_offsets;
    arrays[name] = { shape: entry.shape, values: new kinds[entry.dtype](buffer.slice(8 + size + start, 8 + size + end)) };
  }
  return { arrays, meta: JSON.parse(header.__metadata__?.meta ?? "{}") };
}

function fingerprint(values) { // FNV-1a over the pixels: tells pictures apart
  let hash = 0x811c9dc5;
  for (let k = 0; k < values.length; k++) hash = Math.imul(hash ^ Math.round(values[k] * 16), 0x01000193);
  return hash >>> 0;
}

async function post(live, path, body) {
  const response = await fetch(`${live.config.base}/api/${path}`, {
    method: "POST", body: JSON.stringify(body),
    headers: { "content-type": "application/json", "x-showerscope-key": live.config.key },
  });
  if (response.ok) return readArrays(await response.arrayBuffer());
  let said = `The engine answered ${response.status}.`;
  try { said = (await response.json()).error ?? said; } catch { /* no JSON: the number has to do */ }
  throw Object.assign(new Error(said), { status: response.status });
}

async function askShower(live) { // one request in flight, the newest wish wins
  if (live.asking || !live.wanted || Number.isNaN(pzOf(live))) return;
  live.asking = true; live.wanted = false;
  const asked = performance.now(), { run, step, seed, convention } = live.config;
  const particle = { ...live.particle };
  try {
    const { arrays, meta } = await post(live, "shower", { run, step, seed, convention, particle, n: 1 });
    const shower = arrays.showers.values;
    const impact = arrays.impact_mm ? Array.from(arrays.impact_mm.values.slice(0, 2)) : impactOf(live, particle, pzOf(live));
    live.made = { shower, impact, asked, fresh: true, hash: fingerprint(shower), ood: meta.ood,
      warnings: meta.warnings, energy: particle.energy_gev, sum: shower.reduce((a, b) => a + b, 0) };
    live.wait = 0; live.root.dataset.state = "ready";
    live.at(".badge").textContent = `${round(meta.ms, 3)} ms per shower · ${Math.round(performance.now() - asked)} ms to here`;
    describe(live); schedule(live);
  } catch (error) { trouble(live, error); }
  live.asking = false;
  if (live.wanted && !live.wait) askShower(live);
}

function middleReplica({ showers, primary_id }) { // of the nearest primary's simulations the one of middle light
  const size = showers.values.length / showers.shape[0];
  const mine = [...primary_id.values.keys()].filter((k) => primary_id.values[k] === primary_id.values[0]);
  const light = (k) => showers.values.slice(size * k, size * (k + 1)).reduce((a, b) => a + b, 0);
  const order = mine.map((k) => [light(k), k]).sort((a, b) => a[0] - b[0]);
  return { pick: order[order.length >> 1][1], of: mine.length > 1 ? `, middle of ${mine.length} replicas` : ", nearest" };
}

async function askNearest(live) {
  if (live.seeking || !live.sought || Number.isNaN(pzOf(live))) return;
  live.seeking = true; live.sought = false;
  const began = performance.now();
  try {
    const { arrays } = await post(live, "nearest", { data: live.config.data, particle: { ...live.particle }, k: 3 });
    const { pick, of } = middleReplica(arrays);
    const c = Array.from(arrays.conditions.values.slice(9 * pick, 9 * pick + 9));
    const size = arrays.showers.values.length / arrays.showers.shape[0];
    const shower = arrays.showers.values.slice(size * pick, size * (pick + 1));
    const pdg = Number(arrays.pdg.values[pick]);
    const vertex = { vx_cm: c[1], vy_cm: c[2], px_gev: c[4], py_gev: c[5] };
    live.real = { shower, of, energy: c[0], impact: impactOf(live, vertex, c[6]),
      symbol: live.config.particles.find((p) => p.pdg === pdg)?.symbol ?? `PDG ${pdg}`,
      sum: shower.reduce((a, b) => a + b, 0) };
    schedule(live);
  } catch (error) { if (error.status && error.status < 500) live.at(".real").textContent = error.message; }
  setTimeout(() => { live.seeking = false; askNearest(live); }, Math.max(0, NEAREST_EVERY_MS - (performance.now() - began)));
}

function trouble(live, error) {
  if (error.status === 403 || error.status === 404 || error.status === 422) {
    live.root.dataset.state = "refused";
    live.at(".range").className = "range wrong";
    live.at(".range").textContent = error.message;
    return;
  }
  live.root.dataset.state = "stale";
  live.at(".badge").textContent = live.made ? "engine down: last good picture" : "engine down";
  live.wait = Math.min(LONGEST_WAIT_MS, (live.wait || 500) * 2);
  live.wanted = live.sought = true;
  clearTimeout(live.timer);
  live.timer = setTimeout(() => { askShower(live); askNearest(live); }, live.wait);
}

function refresh(live) {
  live.wanted = live.sought = true;
  describe(live); askShower(live); askNearest(live);
}

function captions(live) {
  const { made, real, config } = live;
  live.at(".made").innerHTML = made
    ? `<b>Generated</b> · Σ ${photons(made.sum)} photons<br><span class="muted"></span>` : "<b>Generated</b>";
  if (made) live.at(".made .muted").textContent =
    `${config.model}, seed ${config.seed}, impact x ${signed(made.impact[0])}, y ${signed(made.impact[1])} mm`;
  live.at(".real").innerHTML = real
    ? `<b>Simulation</b>${real.of} · Σ ${photons(real.sum)} photons<br><span class="muted"></span>` : "<b>Simulation</b>";
  if (real) live.at(".real .muted").textContent =
    `${real.symbol}, E ${photons(real.energy)} GeV, impact x ${signed(real.impact[0])}, y ${signed(real.impact[1])} mm`;

  if (made) live.at(".generated").setAttribute("aria-label",
    `Generated shower, ${photons(made.sum)} photons, energy ${made.energy} GeV`);
  if (real) live.at(".simulated").setAttribute("aria-label", `Nearest simulated shower, ${photons(real.sum)} photons`);
}

function readout(live) {
  if (!live.fibre) return;
  const [nx, ny] = live.config.detector.shape, pitch = live.config.detector.pitch_mm, [i, j] = live.fibre;
  const value = (shower) => shower ? photons(shower[i * ny + j]) : "–";
  live.at(".readout").textContent = `fibre (${i}, ${j}) · x ${signed((i + 0.5 - nx / 2) * pitch)} mm, `
    + `y ${signed((j + 0.5 - ny / 2) * pitch)} mm · generated ${value(live.made?.shower)}, `
    + `simulated ${value(live.real?.shower)} photons`;
}

function massOf(live) { return live.config.particles.find((p) => p.pdg === live.particle.pdg) ?? { mass_mev: 0 }; }

function pzOf(live) { // GeV; NaN off the mass shell
  const p = live.particle, mass = massOf(live).mass_mev / 1000;
  const square = p.energy_gev ** 2 - mass ** 2 - p.px_gev ** 2 - p.py_gev ** 2;
  return p.energy_gev > mass && square > 0 ? p.side * Math.sqrt(square) : NaN;
}

function impactOf(live, p, pz) { // mm on the face
  const z = live.config.detector.z_cm;
  return [10 * (p.vx_cm + p.px_gev / Math.abs(pz) * z), 10 * (p.vy_cm + p.py_gev / Math.abs(pz) * z)];
}

function describe(live) {
  const p = live.particle, pz = pzOf(live), kind = massOf(live);
  live.at(".shell").innerHTML = Number.isNaN(pz) ? "pz <small>none: off the mass shell</small>" :
    `pz ${p.side < 0 ? "−" : ""}${round(Math.abs(pz), 5)} GeV <small>follows: E, p and mass stay on shell</small>`;
  const box = live.at(".range"), outside = [];
  for (const [name, title, unit] of SLIDERS) {
    const axis = live.config.axes[name];
    const out = axis && (p[name] < axis.lo || p[name] > axis.hi);
    live.rows[name]?.classList.toggle("outside", Boolean(out));
    if (out) outside.push(`${title} (${round(axis.lo, 3)} to ${round(axis.hi, 3)} ${unit})`);
  }
  box.className = "range";
  if (Number.isNaN(pz)) {
    box.classList.add("wrong");
    live.root.dataset.state = "refused";
    box.textContent = `Not a particle: ${p.energy_gev} GeV does not carry the mass of a ${kind.name} and this `
      + "transverse momentum. Raise the energy or lower px, py.";
    return;
  }
  const ood = live.made?.ood, far = outside.length || kind.trained === false || ood > 0.99;
  const share = ood === undefined ? "" : ood >= 1 ? "further out than every training particle"
    : `further out than ${(100 * ood).toFixed(0)} % of training particles`;
  if (far) box.classList.add("far");
  const lines = [];
  if (kind.trained === false) lines.push(`${kind.name} was not in training.`);
  if (outside.length) lines.push(`Outside the 1–99 % training range: ${outside.join(", ")}.`);
  lines.push(...(live.made?.warnings ?? []));
  if (share) lines.push((far ? "Extrapolation: " : "Inside the training range: ") + share + ".");
  box.textContent = lines.join(" ");
}
