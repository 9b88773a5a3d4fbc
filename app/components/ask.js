// What the panel asks the engine while something is dragged: one request in flight a model, the newest wish wins.

const NEAREST_EVERY_MS = 90;
const MEANS_EVERY_MS = 500; // of the mean that the residual needs while single showers are drawn, or rarer:
const PICTURES_A_MEAN = 12; // where an engine is slow, a mean must not cost the drag its pace
const OTHERS_EVERY_MS = 150; // while the first model has wishes of its own
const RESIDUAL_OF = 16;
const LONGEST_WAIT_MS = 16000;

function refresh(live) {
  for (const model of live.models) model.wanted = true;
  live.sought = live.meansWanted = true;
  showImpact(live); describe(live); schedulePad(live);
  askFirst(live); askNearest(live);
}

function ready(live) { return !live.wait && !Number.isNaN(pzOf(live)); }

async function request(live, model, how) {
  const asked = performance.now(), particle = { ...live.particle }, { walk } = live.sight;
  const { seed, convention } = live.config, { run, step } = model;
  const { arrays, meta } = await post(live, "shower", { run, step, seed, convention, particle, walk, ...how });
  const impact = arrays.impact_mm ? Array.from(arrays.impact_mm.values.slice(0, 2)) : impactOf(live, particle, pzOf(live));
  return { arrays, meta, asked, impact, energy: particle.energy_gev, walk, took: performance.now() - asked };
}

function momentsOf({ arrays }) { // mean and σ of a fibre, and of the light
  const light = arrays.photon_sum.values, n = light.length;
  const sum = light.reduce((a, b) => a + b, 0) / n;
  const spread = Math.sqrt(light.reduce((a, b) => a + (b - sum) ** 2, 0) / Math.max(1, n - 1));
  return { mean: arrays.mean.values, sigma: arrays.sigma.values, sum, spread, n };
}

async function askPicture(live, model) {
  const { shown, of } = live.sight, one = shown === "one";
  model.asking = true; model.wanted = false;
  try {
    const reply = await request(live, model, one ? { n: 1 } : { n: of, moments: true });
    const made = { ...reply, one, ood: reply.meta.ood, warnings: reply.meta.warnings, directions: reply.meta.directions,
      ms: reply.meta.ms / (one ? 1 : of), fresh: true, arrays: undefined };
    if (one) {
      made.shower = reply.arrays.showers.values;
      made.sum = made.shower.reduce((a, b) => a + b, 0);
    } else Object.assign(made, momentsOf(reply));
    made.hash = fingerprint(made.shower ?? made.mean);
    model.made = made; model.said = "";
    return true;
  } catch (error) { trouble(live, model, error); } finally { model.asking = false; }
  return false;
}

async function askFirst(live) { // the model of the strip; the mean for the residual and the other models come between
  const first = live.models[0];
  if (first.asking || !ready(live)) return;
  if (first.wanted && await askPicture(live, first)) {
    live.root.dataset.state = "ready"; live.patience = 0;
    live.at(".badge").textContent = `${round(first.made.ms, 3)} ms/shower · ${Math.round(first.made.took)} ms to here`;
    if (first.made.directions) showWalk(live);
    describe(live); schedule(live);
  }
  if (live.meansWanted && live.sight.shown === "one" && !first.asking && ready(live)
    && (!first.wanted || meansAreDue(live))) await askMeans(live, first);
  askOthers(live);
  if (first.wanted && ready(live)) askFirst(live);
}

function meansAreDue(live) {
  const pause = Math.max(MEANS_EVERY_MS, PICTURES_A_MEAN * (live.models[0].made?.took ?? 0));
  return performance.now() - live.meansAt > pause;
}

async function askMeans(live, first) {
  first.asking = true; live.meansWanted = false; live.meansAt = performance.now();
  try {
    live.means = momentsOf(await request(live, first, { n: RESIDUAL_OF, moments: true }));
    schedule(live);
  } catch (error) { trouble(live, first, error); } finally { first.asking = false; }
}

async function askOthers(live) { // one after the other, so that the first keeps its pace
  if (live.turn || !ready(live)) return;
  const others = live.models.slice(1), waiting = others.filter((model) => model.wanted);
  if (!waiting.length) return;
  const model = waiting.sort((a, b) => (a.at ?? 0) - (b.at ?? 0))[0];
  live.turn = true; model.at = performance.now();
  if (await askPicture(live, model)) schedule(live); else captions(live);
  const pause = live.models[0].wanted || live.models[0].asking ? OTHERS_EVERY_MS : 0;
  setTimeout(() => { live.turn = false; askOthers(live); }, pause);
}

function light(values) { return values.reduce((a, b) => a + b, 0); }

function replicasOf({ showers, primary_id }) { // the nearest primary's simulations, darkest first
  const size = showers.values.length / showers.shape[0];
  const mine = [...primary_id.values.keys()].filter((k) => primary_id.values[k] === primary_id.values[0]);
  const cut = mine.map((k) => ({ k, shower: showers.values.slice(size * k, size * (k + 1)) }));
  return cut.sort((a, b) => light(a.shower) - light(b.shower));
}

async function askNearest(live) {
  if (live.seeking || !live.sought || Number.isNaN(pzOf(live))) return;
  live.seeking = true; live.sought = false;
  const began = performance.now();
  try {
    const { arrays } = await post(live, "nearest", { data: live.config.data, particle: { ...live.particle }, k: 3 });
    const replicas = replicasOf(arrays), { k, shower } = replicas[replicas.length >> 1], n = replicas.length;
    const c = Array.from(arrays.conditions.values.slice(9 * k, 9 * k + 9));
    const mean = Float32Array.from(shower, (_, at) => replicas.reduce((sum, r) => sum + r.shower[at], 0) / n);
    const sigma = Float32Array.from(shower, (_, at) =>
      Math.sqrt(replicas.reduce((sum, r) => sum + (r.shower[at] - mean[at]) ** 2, 0) / n));
    const vertex = { vx_cm: c[1], vy_cm: c[2], vz_cm: c[3], px_gev: c[4], py_gev: c[5], side: Math.sign(c[6]) || 1 };
    live.real = { shower, mean, sigma, n, energy: c[0], impact: impactOf(live, vertex, c[6]),
      symbol: kindOf(live, Number(arrays.pdg.values[k])).symbol, sum: light(shower), meanSum: light(mean) };
    live.realSaid = "";
    schedule(live);
  } catch (error) {
    if (error.status && error.status < 500) { live.realSaid = error.message; live.real = null; schedule(live); }
  }
  setTimeout(() => { live.seeking = false; askNearest(live); }, Math.max(0, NEAREST_EVERY_MS - (performance.now() - began)));
}

function trouble(live, model, error) {
  if (error.status <= 500) { // it answered, and said no
    model.said = error.message;
    if (model !== live.models[0]) return;
    live.root.dataset.state = "refused";
    live.at(".range").className = "range wrong";
    live.at(".range").textContent = error.message;
    return;
  }
  live.root.dataset.state = "stale";
  live.at(".badge").textContent = live.models[0].made ? "engine down: last good picture" : "engine down";
  if (live.wait) return; // several models fail together: one of them waits for all
  live.wait = live.patience = Math.min(LONGEST_WAIT_MS, (live.patience || 500) * 2);
  for (const each of live.models) each.wanted = true;
  live.sought = live.meansWanted = true;
  clearTimeout(live.timer);
  live.timer = setTimeout(() => { live.wait = 0; askFirst(live); askNearest(live); }, live.wait);
}
