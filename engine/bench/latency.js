// What the latency benchmark notes in the page, in the page's own clock; in every page before its own scripts.
(() => {
  const bench = (window.bench = { told: [], pictures: [], whole: [], galleries: [], ticks: 0 });
  const now = () => performance.now(), shown = (work) => requestAnimationFrame(() => setTimeout(work)); // frame is out
  const find = (selector) => document.querySelector(selector), facts = () => find(".ss-facts.ss-close")?.textContent;

  // ------------------------------------------------------------------------------------------- a drag and its release
  bench.watch = (root) => { // the live panel; a picture shows the wish that was told last before it was asked for
    root.addEventListener("input", () => bench.told.push([now(), bench.moved ?? now()]), true);
    new MutationObserver(() => {
      const asked = now() - Number(root.dataset.ms) + 0.1, wish = bench.told.findLast(([at]) => at <= asked);
      if (bench.down && wish) bench.pictures.push(now() - wish[1]);
    }).observe(root, { attributes: true, attributeFilter: ["data-frames"] });
  };
  window.addEventListener("pointermove", (event) => { bench.moved = event.timeStamp; }, true);
  window.addEventListener("pointerdown", () => { bench.down = true; }, true);
  window.addEventListener("pointerup", (event) => {
    Object.assign(bench, { down: false, released: event.timeStamp, facts: facts(), selected: selected() });
  }, true);

  // ------------------------------------------------------------------------------------------------ what pages become
  const selected = () => find("#ss-gallery")?.dataset.selected;
  const step = () => find(".ss-pulse, [data-testid='stProgress']")?.textContent;
  async function look() {
    if (step() !== bench.step) { bench.step = step(); bench.ticks += 1; }
    if (bench.released === undefined) return;
    const since = bench.released, rests = find("[data-testid='stApp']")?.dataset.testScriptState === "notRunning";
    if (rests && facts() && facts() !== bench.facts) {
      bench.released = undefined;
      shown(() => bench.whole.push(now() - since));
    } else if (selected() && selected() !== bench.selected && bench.lasso) {
      bench.released = undefined;
      await Promise.all([...document.querySelectorAll("#ss-gallery img")].map((image) => image.decode()));
      shown(() => bench.galleries.push(now() - since));
    }
  }
  bench.released = 0; // the page itself counts as let go at its navigation
  const all = { childList: true, subtree: true, characterData: true, attributeFilter: ["data-test-script-state"] };
  new MutationObserver(look).observe(document, all);

  // -------------------------------------------------------------------------------------- a map from its data to pixels
  const afresh = { there: undefined, painted: false, drawn: undefined };
  bench.arm = () => { Object.assign(bench, afresh, { bytes: 0 }); };
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => { // the largest holds the points; the same may come again
        if (data.byteLength > 1.1 * bench.bytes) Object.assign(bench, afresh, { bytes: data.byteLength, there: now() });
      });
    }
  };
  for (const name of ["fill", "fillRect", "drawImage"]) {
    const own = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
      if (bench.there && !bench.painted && this.canvas.closest(".st-key-latent_map")) {
        const { there } = bench;
        bench.painted = true;
        shown(() => { if (bench.there === there) bench.drawn = now(); });
      }
      return own.apply(this, given);
    };
  }
})();
