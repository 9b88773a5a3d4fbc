// Numbers as text, and showers on a canvas. One of three files that panel.py joins: canvas.js, live.js, panel.js.

const MARGIN = { left: 44, right: 6, top: 6, bottom: 36 };

const round = (value, digits = 4) => Number(Number(value).toPrecision(digits));
const photons = (value) => value >= 100 ? Math.round(value).toLocaleString("en") : round(value, 3).toString();
const signed = (value, digits = 1) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);

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
function niceTicks(top, log) {
  if (!log) {
    const step = 10 ** Math.floor(Math.log10(top / 2));
    const unit = [1, 2, 5, 10].find((m) => top / (m * step) <= 6) * step;
    return Array.from({ length: Math.floor(top / unit) + 1 }, (_, k) => k * unit);
  }
  return [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000].filter((t) => t <= top);
}

function paint(live, canvas, shower, impact) {
  const { detector, palette } = live.config;
  const [nx, ny] = detector.shape;
  const width = canvas.clientWidth;
  const cell = Math.max(1, (width - MARGIN.left - MARGIN.right) / nx);
  const height = cell * ny + MARGIN.top + MARGIN.bottom;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  canvas.cell = cell;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const ink = getComputedStyle(live.root).color;
  if (shower) {
    const image = new ImageData(nx, ny);
    const scale = live.log ? 255 / Math.log1p(live.top) : 255 / live.top;
    for (let i = 0; i < nx; i++) {
      for (let j = 0; j < ny; j++) {
        const value = Math.max(0, shower[i * ny + j]);
        const index = Math.min(255, Math.round((live.log ? Math.log1p(value) : value) * scale)) * 3;
        const at = ((ny - 1 - j) * nx + i) * 4; // x to the right, y up
        image.data[at] = palette[index]; image.data[at + 1] = palette[index + 1];
        image.data[at + 2] = palette[index + 2]; image.data[at + 3] = 255;
      }
    }
    live.small.width = nx; live.small.height = ny;
    live.small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(live.small, MARGIN.left, MARGIN.top, cell * nx, cell * ny);
  }
  axes(pen, detector, cell, ink);
  if (impact) cross(pen, detector, cell, impact);
  if (live.fibre) {
    pen.strokeStyle = "#fff"; pen.lineWidth = 1.5;
    pen.strokeRect(MARGIN.left + live.fibre[0] * cell, MARGIN.top + (ny - 1 - live.fibre[1]) * cell, cell, cell);
  }
}

function axes(pen, detector, cell, ink) {
  const [nx, ny] = detector.shape;
  const pitch = detector.pitch_mm;
  const left = MARGIN.left, top = MARGIN.top, right = left + cell * nx, bottom = top + cell * ny;
  pen.strokeStyle = ink; pen.fillStyle = ink; pen.globalAlpha = 0.85; pen.lineWidth = 1;
  pen.font = "11px " + getComputedStyle(document.body).fontFamily;
  pen.strokeRect(left - 0.5, top - 0.5, cell * nx + 1, cell * ny + 1);
  const tick = nx * pitch > 100 ? 40 : 10;
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
  const x = MARGIN.left + cell * place(xmm, nx), y = MARGIN.top + cell * (ny - place(ymm, ny));
  for (const [colour, width] of [["#000", 3.5], [inside ? "#fff" : "#E69F00", 1.5]]) {
    pen.strokeStyle = colour; pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(x - 7, y); pen.lineTo(x + 7, y); pen.moveTo(x, y - 7); pen.lineTo(x, y + 7);
    pen.stroke();
  }
}

function paintBar(live) {
  const canvas = live.at(".bar");
  const height = live.at(".generated").clientHeight, width = canvas.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const top = MARGIN.top, tall = height - MARGIN.top - MARGIN.bottom, palette = live.config.palette;
  for (let y = 0; y < tall; y++) {
    const k = Math.round(255 * (1 - y / tall)) * 3;
    pen.fillStyle = `rgb(${palette[k]},${palette[k + 1]},${palette[k + 2]})`;
    pen.fillRect(0, top + y, 14, 1.5);
  }
  pen.fillStyle = getComputedStyle(live.root).color;
  pen.font = "11px " + getComputedStyle(document.body).fontFamily;
  pen.textBaseline = "middle";
  for (const value of niceTicks(live.top, live.log)) {
    const share = live.log ? Math.log1p(value) / Math.log1p(live.top) : value / live.top;
    pen.fillRect(14, top + tall * (1 - share) - 0.5, 4, 1);
    pen.fillText(value.toLocaleString("en"), 21, top + tall * (1 - share));
  }
  pen.fillText("photons", 0, top + tall + 14);
}

function draw(live) {
  live.queued = false;
  const made = live.made, real = live.real;
  if (!live.locked) {
    let top = 5;
    for (const shower of [made?.shower, real?.shower]) if (shower) for (const v of shower) if (v > top) top = v;
    live.top = top;
  }
  paint(live, live.at(".generated"), made?.shower, made?.impact);
  paint(live, live.at(".simulated"), real?.shower, real?.impact);
  paintBar(live);
  captions(live);
  readout(live);
  if (made && made.fresh) {
    made.fresh = false;
    live.frames += 1;
    live.seen.add(made.hash);
    const data = live.root.dataset;
    data.frames = live.frames; data.distinct = live.seen.size; data.hash = made.hash;
    data.sum = made.sum; data.energy = made.energy; data.ms = (performance.now() - made.asked).toFixed(1);
  }
}

function schedule(live) {
  if (live.queued) return;
  live.queued = true;
  requestAnimationFrame(() => draw(live));
}
