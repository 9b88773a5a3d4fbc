// Two sliders through the noise, along the directions that change a model's showers most.

const FURTHEST = 3; // standard deviations of the noise

function buildWalk(live) {
  const box = live.at(".walk .steps");
  box.innerHTML = [0, 1].map((k) => `<label>direction ${k + 1}
    <input type="range" class="step" min="${-FURTHEST}" max="${FURTHEST}" step="0.05"
      aria-label="Noise along direction ${k + 1} in standard deviations"><output></output></label>`).join("")
    + '<button type="button" class="reset">Back to the seed\'s noise</button><p class="muted directions"></p>';
  for (const [k, input] of box.querySelectorAll(".step").entries()) {
    input.oninput = () => {
      live.sight.walk = (live.sight.walk ?? [0, 0]).map((old, at) => at === k ? Number(input.value) : old);
      showWalk(live); refresh(live);
    };
    input.onchange = () => live.tell();
  }
  box.querySelector(".reset").onclick = () => { live.sight.walk = null; showWalk(live); refresh(live); live.tell(); };
  live.at(".walk").open = Boolean(live.sight.walk);
}

function showWalk(live) {
  const walk = live.sight.walk;
  for (const [k, label] of live.root.querySelectorAll(".walk .steps label").entries()) {
    label.querySelector("input").value = walk?.[k] ?? 0;
    label.querySelector("output").textContent = walk ? `${signed(walk[k], 2)} σ` : "off";
  }
  live.at(".walk .reset").disabled = !walk;
  live.at(".walk summary .muted").textContent = walk ? `${signed(walk[0], 2)} σ, ${signed(walk[1], 2)} σ` : "off";
  live.at(".directions").textContent = "Two directions of the noise, in its standard deviations; the rest of it stays "
    + "the seed's. It moves these pictures, not the numbers below."
    + (live.models[0]?.made?.directions ? ` Directions: ${live.models[0].made.directions}.` : "");
  live.root.dataset.walk = walk ? walk.join(",") : "";
}
