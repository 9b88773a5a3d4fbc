// Where the particle hits: a small face to drag the impact point on, and the same drag on the large picture.

const LEAST_DRAG_PX = 3;

function padLayout(live, canvas) {
  const [rx, ry] = live.config.pad.reach; // mm from the middle of the face to the pad's edge
  const width = widthOf(canvas), scale = width / (2 * rx);
  return { width, height: 2 * ry * scale, toPixel: ([x, y]) => [(x + rx) * scale, (ry - y) * scale],
    toMm: (x, y) => [x / scale - rx, ry - y / scale] };
}

function paintPad(live) {
  const canvas = live.at(".pad"), layout = padLayout(live, canvas), { detector, pad } = live.config;
  const pen = fit(canvas, layout.height), [nx, ny] = pad.bins;
  pen.imageSmoothingEnabled = true;
  pen.drawImage(live.cloud, 0, 0, nx, ny, 0, 0, layout.width, layout.height);
  const half = detector.shape.map((n) => n * detector.pitch_mm / 2);
  const [left, top] = layout.toPixel([-half[0], half[1]]), [right, bottom] = layout.toPixel([half[0], -half[1]]);
  pen.strokeStyle = inkOf(live); pen.globalAlpha = 0.8; pen.lineWidth = 1;
  pen.strokeRect(left, top, right - left, bottom - top);
  pen.globalAlpha = 1;
  const at = impactOf(live, live.particle, pzOf(live));
  if (!at.every(Number.isFinite)) return;
  const inside = at.every((mm, k) => Math.abs(mm) <= half[k]);
  const clip = ([x, y]) => [Math.min(layout.width - 2, Math.max(2, x)), Math.min(layout.height - 2, Math.max(2, y))];
  mark(pen, ...clip(layout.toPixel(at)), inside);
  canvas.setAttribute("aria-label", `Detector face with the training particles' impact points. This particle's: `
    + `x ${signed(at[0])} mm, y ${signed(at[1])} mm${inside ? "" : ", beside the face"}. `
    + "Arrow keys move it by one fibre, with Shift by a tenth of a millimetre.");
}

function schedulePad(live) { // once a frame, for reading its size after the words changed would lay the page out again
  if (live.padQueued) return;
  live.padQueued = true;
  requestAnimationFrame(() => { live.padQueued = false; paintPad(live); });
}

function tintCloud(live) { // the density of training particles, once
  const { bins: [nx, ny], density } = live.config.pad, counts = readBytes(density);
  const image = new ImageData(nx, ny);
  for (let i = 0; i < nx; i++) for (let j = 0; j < ny; j++) {
    image.data.set([0, 114, 178, counts[i * ny + j] * 0.75], ((ny - 1 - j) * nx + i) * 4);
  }
  live.cloud = Object.assign(document.createElement("canvas"), { width: nx, height: ny });
  live.cloud.getContext("2d").putImageData(image, 0, 0);
}

function showImpact(live) {
  const at = impactOf(live, live.particle, pzOf(live)), focused = live.root.getRootNode().activeElement;
  for (const [k, name] of [".impact-x", ".impact-y"].entries()) {
    const input = live.at(name);
    if (focused !== input) input.value = Number.isFinite(at[k]) ? at[k].toFixed(2) : "";
  }
}

function aimAt(live, at) {
  aim(live, at);
  for (const name of ["px_gev", "py_gev"]) live.rows[name]?.show();
  refresh(live);
}

function dragsImpact(live, canvas, toMm) { // a click that does not move leaves the particle alone
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const from = [event.offsetX, event.offsetY];
    let moved = false;
    const move = ({ offsetX, offsetY }) => {
      moved ||= Math.hypot(offsetX - from[0], offsetY - from[1]) >= LEAST_DRAG_PX;
      const at = toMm(offsetX, offsetY);
      if (moved && at.every(Number.isFinite)) aimAt(live, at);
    };
    const end = () => {
      canvas.removeEventListener("pointermove", move);
      if (moved) live.release();
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("lostpointercapture", end, { once: true });
  });
}

function buildPad(live) {
  const canvas = live.at(".pad"), picture = live.at(".generated");
  dragsImpact(live, canvas, (x, y) => padLayout(live, canvas).toMm(x, y));
  dragsImpact(live, picture, (x, y) => {
    const { shape: [nx, ny], pitch_mm: pitch } = live.config.detector;
    return [((x - MARGIN.left) / picture.cell - nx / 2) * pitch, (ny / 2 - (y - MARGIN.top) / picture.cell) * pitch];
  });
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const at = impactOf(live, live.particle, pzOf(live));
    if (!way || !at.every(Number.isFinite)) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.1 : live.config.detector.pitch_mm;
    aimAt(live, at.map((mm, k) => mm + way[k] * step));
  };
  canvas.onkeyup = (event) => { if (event.key.startsWith("Arrow")) live.release(); };
  for (const [k, name] of [".impact-x", ".impact-y"].entries()) {
    const input = live.at(name);
    input.oninput = () => {
      const at = impactOf(live, live.particle, pzOf(live)), value = Number(input.value);
      if (input.value === "" || !Number.isFinite(value) || !at.every(Number.isFinite)) return;
      at[k] = value;
      aimAt(live, at);
    };
    input.onchange = () => { live.release(); showImpact(live); };
  }
  live.at(".aimed").onchange = (event) => { live.sight.aimed = event.target.checked; live.tell(); };
}
