// Numbers as text, and showers on a pen: that of a canvas, or of an SVG file (save.js).

const MARGIN = { left: 44, right: 6, top: 6, bottom: 36 };

const round = (value, digits = 4) => Number(Number(value).toPrecision(digits));
const photons = (value) => value >= 100 ? Math.round(value).toLocaleString("en") : round(value, 3).toString();
const signed = (value, digits = 1) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);

function niceTicks(top, log) {
  if (!log) {
    const step = 10 ** Math.floor(Math.log10(top / 2));
    const unit = [1, 2, 5, 10].find((m) => top / (m * step) <= 6) * step;
    return Array.from({ length: Math.floor(top / unit + 1e-9) + 1 }, (_, k) => round(k * unit));
  }
  return [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 1e4, 3e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10].filter((t) => t <= top);
}

function shareOf(value, top, log) { return log ? Math.log1p(Math.max(0, value)) / Math.log1p(top) : value / top; }

// What a layout must be computed for is asked once and kept until the size changes: after each picture words change too.
function inkOf(live) { return live.ink ??= getComputedStyle(live.root).color; }
function fontOf() { return fontOf.kept ??= "11px " + getComputedStyle(document.body).fontFamily; }
function widthOf(canvas) { return canvas.wide || (canvas.wide = canvas.clientWidth); }
function forgetSizes(live) {
  live.ink = null;
  for (const canvas of live.root.querySelectorAll("canvas")) canvas.wide = 0;
}

function say(node, text) { if (node.textContent !== text) node.textContent = text; }

function fit(canvas, height) { // pixels of the screen, and the pen for them
  const ratio = window.devicePixelRatio || 1, width = widthOf(canvas);
  canvas.tall = height;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function unchanged(live, canvas, scene) { // a picture that stands as it should costs nothing
  const { sight, fibre, config } = live, ink = inkOf(live);
  const now = [scene.values, scene.top, scene.log, scene.impact?.join(), fibre?.join(), sight.towers, sight.common, config.readout,
    config.detector.shape.join(), widthOf(canvas), window.devicePixelRatio, ink];
  const same = canvas.drawn?.every((part, k) => part === now[k]);
  canvas.drawn = now;
  return same;
}

function paint(live, canvas, scene) {
  if (unchanged(live, canvas, scene)) return;
  const [nx, ny] = live.config.detector.shape;
  const cell = Math.max(1, (widthOf(canvas) - MARGIN.left - MARGIN.right) / nx);
  const pen = fit(canvas, cell * ny + MARGIN.top + MARGIN.bottom);
  canvas.cell = cell;
  face(live, pen, scene, cell, inkOf(live));
  if (!live.fibre) return;
  pen.strokeStyle = scene.residual ? "#000" : "#fff"; pen.lineWidth = 1.5;
  pen.strokeRect(MARGIN.left + live.fibre[0] * cell, MARGIN.top + (ny - 1 - live.fibre[1]) * cell, cell, cell);
}

function face(live, pen, scene, cell, ink) { // a shower, what is laid over it, axes, impact point
  const { detector } = live.config, [nx, ny] = detector.shape;
  if (scene.values) {
    const image = tinted(live, scene);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, MARGIN.left, MARGIN.top, cell * nx, cell * ny);
    overlay(live, pen, cell, scene.residual);
  }
  axes(pen, detector, cell, ink);
  if (scene.impact) cross(pen, detector, cell, scene.impact);
}

function tinted(live, { values, top, log, residual }) { // one pixel a fibre
  const [nx, ny] = live.config.detector.shape, palette = residual ? live.config.diverging : live.config.palette;
  const image = new ImageData(nx, ny), scale = log ? 255 / Math.log1p(top) : 255 / top;
  for (let i = 0; i < nx; i++) {
    for (let j = 0; j < ny; j++) {
      const value = values[i * ny + j];
      const share = residual ? 127.5 * (1 + value / top) : (log ? Math.log1p(Math.max(0, value)) : value) * scale;
      const index = Math.min(255, Math.max(0, Math.round(share))) * 3;
      const at = ((ny - 1 - j) * nx + i) * 4; // x to the right, y up
      image.data[at] = palette[index]; image.data[at + 1] = palette[index + 1];
      image.data[at + 2] = palette[index + 2]; image.data[at + 3] = 255;
    }
  }
  live.small.width = nx; live.small.height = ny;
  live.small.getContext("2d").putImageData(image, 0, 0);
  return live.small;
}

function axes(pen, detector, cell, ink) {
  const [nx, ny] = detector.shape;
  const pitch = detector.pitch_mm;
  const left = MARGIN.left, top = MARGIN.top, right = left + cell * nx, bottom = top + cell * ny;
  pen.strokeStyle = ink; pen.fillStyle = ink; pen.globalAlpha = 0.85; pen.lineWidth = 1;
  pen.font = fontOf();
  pen.strokeRect(left - 0.5, top - 0.5, cell * nx + 1, cell * ny + 1);
  const narrow = cell * nx < 170, tick = nx * pitch > 100 ? 40 : narrow ? 20 : 10;
  pen.textAlign = "center"; pen.textBaseline = "top";
  for (let mm = -Math.floor(nx * pitch / 2 / tick) * tick; mm <= nx * pitch / 2; mm += tick) {
    const x = left + cell * (mm / pitch + nx / 2);
    pen.beginPath(); pen.moveTo(x, bottom); pen.lineTo(x, bottom + 4); pen.stroke();
    pen.fillText(String(mm).replace("-", "−"), x, bottom + 6);
  }
  pen.fillText("x [mm]", (left + right) / 2, bottom + 21);
  pen.textAlign = "right"; pen.textBaseline = "middle";
  for (let mm = -Math.floor(ny * pitch / 2 / tick) * tick; mm <= ny * pitch / 2; mm += tick) {
    const y = bottom - cell * (mm / pitch + ny / 2);
    pen.beginPath(); pen.moveTo(left - 4, y); pen.lineTo(left, y); pen.stroke();
    pen.fillText(String(mm).replace("-", "−"), left - 6, y);
  }
  pen.save();
  pen.translate(10, (top + bottom) / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center";
  pen.fillText("y [mm]", 0, 0);
  pen.restore();
  pen.globalAlpha = 1;
}

function cross(pen, detector, cell, [xmm, ymm]) { // where the straight line of flight meets the face
  const [nx, ny] = detector.shape;
  const inside = Math.abs(xmm) <= nx * detector.pitch_mm / 2 && Math.abs(ymm) <= ny * detector.pitch_mm / 2;
  const place = (mm, n) => Math.min(n, Math.max(0, mm / detector.pitch_mm + n / 2));
  mark(pen, MARGIN.left + cell * place(xmm, nx), MARGIN.top + cell * (ny - place(ymm, ny)), inside);
}

function mark(pen, x, y, inside) { // white on the face, orange at its border where the particle passes beside
  for (const [colour, width] of [["#000", 3.5], [inside ? "#fff" : "#E69F00", 1.5]]) {
    pen.strokeStyle = colour; pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(x - 7, y); pen.lineTo(x + 7, y); pen.moveTo(x, y - 7); pen.lineTo(x, y + 7);
    pen.stroke();
  }
}

function bar(live, pen, scene, height, ink) { // colour bar as high as a face of that height
  const top = MARGIN.top, tall = height - MARGIN.top - MARGIN.bottom;
  const palette = scene.residual ? live.config.diverging : live.config.palette;
  for (let k = 0; k < 128; k++) {
    const at = Math.round(255 * (1 - k / 127)) * 3;
    pen.fillStyle = `rgb(${palette[at]},${palette[at + 1]},${palette[at + 2]})`;
    pen.fillRect(0, top + tall * k / 128, 12, tall / 128 + 0.5);
  }
  pen.fillStyle = ink;
  pen.font = fontOf();
  pen.textBaseline = "middle"; pen.textAlign = "left";
  const ticks = scene.residual ? [-1, -0.5, 0, 0.5, 1].map((s) => s * scene.top) : niceTicks(scene.top, scene.log);
  for (const value of ticks) {
    const share = scene.residual ? (1 + value / scene.top) / 2 : shareOf(value, scene.top, scene.log);
    pen.fillRect(12, top + tall * (1 - share) - 0.5, 4, 1);
    const text = scene.residual ? (value > 0 ? "+" : "") + String(round(value, 2)).replace("-", "−") : value.toLocaleString("en");
    pen.fillText(text, 19, top + tall * (1 - share));
  }
  pen.fillText("photons", 0, top + tall + 14);
}

function paintBar(live, canvas, scene, beside) {
  const height = beside.tall ?? 0;
  if (unchanged(live, canvas, { top: scene.top, log: scene.log, values: height })) return;
  if (height > MARGIN.top + MARGIN.bottom) bar(live, fit(canvas, height), scene, height, inkOf(live));
}
