// Clouds of a training on one clock. Python gives all frames at once; playing, scrubbing and speed ask it for nothing.

const MARGIN = { left: 26, right: 3, top: 3, bottom: 22 };
const FULL = 32767; // the end of an axis in packed points
const STOPS_PER_S = 3; // at speed 1
const SPEEDS = [0.5, 1, 2, 4];
const RADIUS = { real: 1.1, on: 1.7, off: 2.4 };
const PAPER = "#FFFFFF", INK = "#1B1F24", FAINT = "#C3C8CE";
const SHEET = { columns: 3, side: 300, gap: 18, head: 26, foot: 66 };

const short = (value) => Math.round(value * 100) / 100;

function points(text) { // pairs of 16-bit numbers, low byte first
  const view = new DataView(readBytes(text).buffer);
  return Int16Array.from({ length: view.byteLength / 2 }, (_, k) => view.getInt16(2 * k, true));
}

function circles(xy, from, to, side, r) {
  const parts = [];
  for (let k = from; k < to; k++) {
    const x = side * (1 + xy[2 * k] / FULL) / 2, y = side * (1 - xy[2 * k + 1] / FULL) / 2;
    parts.push(`M${short(x - r)} ${short(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`);
  }
  return parts.join("");
}

function crosses(xy, from, to, side, r) {
  const parts = [];
  for (let k = from; k < to; k++) {
    const x = side * (1 + xy[2 * k] / FULL) / 2, y = side * (1 - xy[2 * k + 1] / FULL) / 2;
    parts.push(`M${short(x - r)} ${short(y - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`);
  }
  return parts.join("");
}

function ticks([low, high]) { // round numbers within, six at most
  const raw = (high - low) / 6, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw) * power;
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) found.push(Number(v.toPrecision(6)) || 0);
  return found;
}

function axes(pen, span, side, ink) {
  pen.path(`M0 0H${side}V${side}H0Z`, { stroke: ink, alpha: 0.5 });
  const [xs, ys] = span, [w, h] = [xs[1] - xs[0], ys[1] - ys[0]];
  let marks = "";
  for (const v of ticks(xs)) {
    const x = short(side * (v - xs[0]) / w);
    marks += `M${x} ${side}v3`;
    if (x < side - 14) pen.text(String(v).replace("-", "−"), x, side + 13, { fill: ink, anchor: "middle", size: 9.5 });
  }
  for (const v of ticks(ys)) {
    const y = short(side * (ys[1] - v) / h);
    marks += `M0 ${y}h-3`;
    if (y > 12) pen.text(String(v).replace("-", "−"), -5, y + 3, { fill: ink, anchor: "end", size: 9.5 });
  }
  pen.path(marks, { stroke: ink, alpha: 0.5 });
  pen.text("x", side - 2, side + 13, { fill: ink, anchor: "end", size: 10.5 });
  pen.text("y", -5, 9, { fill: ink, anchor: "end", size: 10.5 });
}

function region(panel, print) { // the plane as a small picture, and its borders in cells
  const name = print ? "printed" : "region";
  if (panel[name]) return panel[name];
  const { side: [rows, columns], cluster } = panel.plane, number = readBytes(cluster);
  const colours = print ? panel.plane.print : panel.plane.colours;
  const picture = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const pen = picture.getContext("2d");
  const edges = [];
  for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) { // rows from low y to high
    const own = number[j * columns + i];
    pen.fillStyle = colours[own];
    pen.fillRect(i, rows - 1 - j, 1, 1);
    if (i + 1 < columns && number[j * columns + i + 1] !== own) edges.push([i + 1, rows - 1 - j, i + 1, rows - j]);
    if (j + 1 < rows && number[(j + 1) * columns + i] !== own) edges.push([i, rows - 1 - j, i + 1, rows - 1 - j]);
  }
  return (panel[name] = { picture, edges, rows, columns });
}

function square(pen, live, panel, side, look) { // one panel: what stands in it now
  if (panel.plane) {
    const { picture, edges, rows, columns } = region(panel, look.print), [w, h] = [side / columns, side / rows];
    pen.image(picture, 0, 0, side, side);
    pen.path(edges.map(([a, b, c, d]) => `M${short(a * w)} ${short(b * h)}L${short(c * w)} ${short(d * h)}`).join(""),
      { stroke: look.ink, width: 0.8, alpha: 0.5 });
  }
  const real = circles(live.real, 0, live.real.length / 2, side, RADIUS.real);
  const { exact, faint, on, off } = look.colours;
  if (panel.plane) pen.path(real, { fill: look.ink, alpha: 0.75 });
  else pen.path(real, panel.exact ? { fill: exact, alpha: 0.8 } : { fill: faint, alpha: 0.9 });
  const frame = shown(live, panel);
  if (frame) {
    frame.xy ??= points(frame.points);
    const n = frame.xy.length / 2;
    pen.path(circles(frame.xy, 0, frame.on, side, RADIUS.on), { fill: on, alpha: 0.9 });
    pen.path(crosses(frame.xy, frame.on, n, side, RADIUS.off), { stroke: off, width: 1.4 });
  } else if (panel.empty) {
    const [x, y] = [side / 2, side / 2];
    pen.path(`M${x - 58} ${y - 14}h116v20h-116z`, { fill: look.paper, alpha: 0.85 });
    pen.text(panel.empty, x, y, { fill: look.ink, anchor: "middle", size: 11 });
  }
  axes(pen, live.data.span, side, look.ink);
}

function shown(live, panel) { return panel.frames[panel.at[live.index] ?? -1]; }

function wordsOf(live, panel) {
  const frame = shown(live, panel);
  return frame ? frame.words : [];
}

function altOf(live, panel) {
  if (panel.plane) return `${panel.title}: ${panel.plane.alt}, with points of the set`;
  if (panel.exact) return `${panel.title}: ${live.real.length / 2} exact points`;
  return `${panel.title}: ${shown(live, panel)?.alt ?? (panel.empty || "no picture yet")}`;
}

function draw(live) { // every panel, where the clock stands
  const ratio = window.devicePixelRatio || 1, { color: ink, fontFamily: font } = getComputedStyle(live.root);
  const look = { ink, colours: live.data.colours, paper: getComputedStyle(live.root).getPropertyValue("--st-background-color") };
  for (const [k, panel] of live.data.panels.entries()) {
    const { canvas, words } = live.cells[k], width = canvas.clientWidth;
    const side = width - MARGIN.left - MARGIN.right, height = side + MARGIN.top + MARGIN.bottom;
    if (side < 20) continue;
    const drawn = [width, ratio, ink, panel.at[live.index], panel.frames.length, live.revision].join();
    if (live.cells[k].drawn === drawn) continue;
    live.cells[k].drawn = drawn;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.translate(MARGIN.left, MARGIN.top);
    square(new CanvasPen(pen, font), live, panel, side, look);
    words.textContent = wordsOf(live, panel).join("\n");
    canvas.setAttribute("aria-label", altOf(live, panel));
    live.drawings += 1;
  }
  const { clock, moments } = live.data;
  live.scrub.value = live.index;
  live.moment.textContent = moments[live.index] ?? "";
  live.scrub.setAttribute("aria-valuetext", moments[live.index] ?? "");
  live.play.textContent = live.playing ? "Pause" : "Play";
  Object.assign(live.root.dataset, { at: live.index, stops: clock.length, playing: Boolean(live.playing),
    speed: live.speed, drawings: live.drawings, state: "ready" });
}

function go(live, index) {
  live.index = Math.min(Math.max(0, live.data.clock.length - 1), Math.max(0, index));
  live.share = live.data.clock[live.index] ?? 1;
  draw(live);
}

function last(live) { return live.data.clock.length - 1; }

function toggle(live) {
  if (live.playing) { cancelAnimationFrame(live.playing); live.playing = 0; draw(live); return; }
  if (last(live) < 1) return;
  if (live.index >= last(live)) go(live, 0);
  let place = live.index, before = performance.now();
  const tick = (now) => {
    if (!live.root.isConnected) { live.playing = 0; return; } // another page
    place = (live.scrubbed ?? place) + STOPS_PER_S * live.speed * (now - before) / 1000;
    before = now; live.scrubbed = null;
    live.playing = place < last(live) ? requestAnimationFrame(tick) : 0;
    if (Math.floor(place) !== live.index || !live.playing) go(live, Math.floor(place));
  };
  live.playing = requestAnimationFrame(tick);
  draw(live);
}

function controls(live) {
  live.play.onclick = () => toggle(live);
  live.scrub.oninput = () => { live.scrubbed = Number(live.scrub.value); go(live, live.scrubbed); };
  live.scrub.onkeydown = (event) => { if (event.key === " ") { event.preventDefault(); toggle(live); } };
  const name = `speed${Math.random()}`;
  for (const speed of SPEEDS) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value: speed, checked: speed === 1 });
    input.onchange = () => { live.speed = speed; draw(live); };
    label.append(input, `${speed}×`);
    live.root.querySelector(".speed").append(label);
  }
}

function cells(live) { // made again only where panels come or go
  const names = live.data.panels.map((panel) => panel.title).join("\n");
  if (names !== live.names) {
    live.names = names;
    live.cells = live.data.panels.map((panel) => {
      const figure = document.createElement("figure");
      figure.innerHTML = '<figcaption><b></b><span class="status"></span></figcaption><canvas role="img"></canvas>'
        + '<p class="words"></p><p class="note"></p>';
      const [caption, canvas, words, note] = figure.children;
      caption.firstChild.textContent = panel.title;
      return { figure, canvas, words, note, status: caption.lastChild };
    });
    live.root.querySelector(".panels").replaceChildren(...live.cells.map((cell) => cell.figure));
    for (const { canvas } of live.cells) live.sizes.observe(canvas);
  }
  for (const [k, panel] of live.data.panels.entries()) {
    live.cells[k].status.textContent = panel.status;
    live.cells[k].status.title = panel.status;
    live.cells[k].note.textContent = panel.note;
    live.cells[k].words.classList.toggle("none", panel.still);
  }
}

function sheet(live, pen) { // all panels in rows, on white
  const { columns, side, gap, head } = SHEET, wide = side + MARGIN.left + gap;
  const look = { ink: INK, paper: PAPER, print: true, colours: { ...live.data.colours, faint: FAINT, exact: "#0072B2", off: "#CC79A7" } };
  pen.path(`M0 0H${sheetSize(live)[0]}V${sheetSize(live)[1]}H0Z`, { fill: PAPER });
  for (const [k, panel] of live.data.panels.entries()) {
    pen.within(MARGIN.left + (k % columns) * wide, head + Math.floor(k / columns) * tall());
    pen.text(panel.title, 0, -9, { fill: INK, size: 13, bold: true });
    square(pen, live, panel, side, look);
    for (const [row, words] of wordsOf(live, panel).entries()) pen.text(words, 0, side + 30 + 15 * row, { fill: INK, size: 11 });
    pen.out();
  }
  pen.text(live.data.moments[live.index] ?? "", MARGIN.left, sheetSize(live)[1] - 8, { fill: INK, size: 11 });
}

function tall() { return SHEET.head + SHEET.side + MARGIN.bottom + SHEET.foot; } // a row of the sheet

function sheetSize(live) {
  const { columns, side, gap } = SHEET, n = live.data.panels.length;
  return [Math.min(n, columns) * (side + MARGIN.left + gap), Math.ceil(n / columns) * tall() + 12];
}

function save(live, format) {
  savePicture(live.data.stem, format, sheetSize(live), (...size) => new SvgPen(...size), (pen) => new CanvasPen(pen, FONT),
    (pen) => sheet(live, pen));
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root"), fresh = !parentElement.replay;
  const live = (parentElement.replay ??= { root, speed: 1, index: 0, share: 1, drawings: 0, revision: 0, playing: 0,
    play: root.querySelector(".play"), scrub: root.querySelector(".scrub"), moment: root.querySelector(".moment") });
  const following = fresh || live.index >= last(live); // who stands at the end stays there while frames come in
  live.data = data;
  live.real = points(data.real);
  live.revision += 1;
  if (fresh) {
    live.sizes = new ResizeObserver(() => draw(live));
    live.saved = (event) => save(live, event.detail);
    controls(live);
  }
  window.addEventListener("showerscope:save", live.saved);
  cells(live);
  live.scrub.max = Math.max(0, last(live));
  live.scrub.disabled = live.play.disabled = last(live) < 1;
  root.querySelector(".bar").classList.toggle("still", last(live) < 1);
  const place = data.clock.findLastIndex((share) => share <= live.share + 1e-6);
  if (live.playing) live.scrubbed = Math.max(0, place);
  go(live, following && !live.playing ? last(live) : place);
  return () => window.removeEventListener("showerscope:save", live.saved);
}
