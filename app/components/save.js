// The pictures as a file, PNG or SVG: fibres exact, axes, bars and words as vectors, on white as papers want it.

const PAPER = "#FFFFFF", INK = "#1B1F24", FACE_PX = 360, GAP_PX = 76, HEAD_PX = 52;

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));

class SvgPen { // the part of a canvas's pen that the pictures use, writing SVG
  constructor(width, height) {
    this.out = []; this.path = ""; this.open = 0; this.depths = []; this.globalAlpha = 1; this.lineWidth = 1; this.font = "11px sans-serif";
    this.head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`;
  }
  put(tag, attributes, text = "") {
    const said = Object.entries(attributes).map(([name, value]) =>
      `${name}="${escaped(typeof value === "number" ? round(value, 7) : value)}"`).join(" ");
    this.out.push(`<${tag} ${said}${this.globalAlpha < 1 ? ` opacity="${this.globalAlpha}"` : ""}>${escaped(text)}</${tag}>`);
  }
  fillRect(x, y, width, height) { this.put("rect", { x, y, width, height, fill: this.fillStyle }); }
  strokeRect(x, y, width, height) {
    this.put("rect", { x, y, width, height, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth });
  }
  beginPath() { this.path = ""; }
  moveTo(x, y) { this.path += `M${round(x, 7)} ${round(y, 7)}`; }
  lineTo(x, y) { this.path += `L${round(x, 7)} ${round(y, 7)}`; }
  stroke() { this.put("path", { d: this.path, fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth }); }
  fillText(text, x, y) {
    const size = parseFloat(this.font.match(/([\d.]+)px/)[1]);
    const dy = { top: 0.8, middle: 0.35 }[this.textBaseline] ?? 0;
    const anchor = { center: "middle", right: "end" }[this.textAlign] ?? "start";
    this.put("text", { x, y: y + dy * size, fill: this.fillStyle, "font-size": size, "text-anchor": anchor,
      "font-family": "IBM Plex Sans, Inter, Helvetica, Arial, sans-serif",
      "font-weight": this.font.startsWith("600") ? 600 : 400 }, text);
  }
  drawImage(image, x, y, width, height) { // one pixel a fibre, in it as a PNG: exact
    this.put("image", { x, y, width, height, href: image.toDataURL("image/png"), preserveAspectRatio: "none",
      style: "image-rendering:pixelated" });
  }
  save() { this.depths.push(this.open); }
  translate(x, y) { this.out.push(`<g transform="translate(${x} ${y})">`); this.open += 1; }
  rotate(angle) { this.out.push(`<g transform="rotate(${angle * 180 / Math.PI})">`); this.open += 1; }
  restore() { for (const depth = this.depths.pop(); this.open > depth; this.open -= 1) this.out.push("</g>"); }
  toString() { return `${this.head}\n${this.out.join("\n")}\n</svg>\n`; }
}

function sheet(live, pen, faces) { // faces side by side, each with its caption and its bar
  const [nx, ny] = live.config.detector.shape, cell = FACE_PX / nx, tall = cell * ny + MARGIN.top + MARGIN.bottom;
  pen.fillStyle = PAPER; pen.fillRect(0, 0, sheetSize(live, faces)[0], sheetSize(live, faces)[1]);
  for (const [k, { scene, words }] of faces.entries()) {
    const x = k * (FACE_PX + MARGIN.left + GAP_PX);
    pen.save(); pen.translate(x, 8);
    pen.fillStyle = INK; pen.textAlign = "left"; pen.textBaseline = "top";
    for (const [row, text] of words.entries()) {
      pen.font = `${row ? "" : "600 "}12px sans-serif`;
      pen.fillText(text, MARGIN.left, row * 16);
    }
    pen.translate(0, HEAD_PX - 12);
    face(live, pen, scene, cell, INK);
    pen.translate(MARGIN.left + FACE_PX + 8, 0);
    bar(live, pen, scene, tall, INK);
    pen.restore();
  }
  pen.fillStyle = INK; pen.textAlign = "left"; pen.textBaseline = "top"; pen.font = "11px sans-serif";
  for (const [row, text] of footnote(live).entries()) pen.fillText(text, MARGIN.left, HEAD_PX + tall + 4 + 15 * row);
}

function sheetSize(live, faces) {
  const [nx, ny] = live.config.detector.shape;
  return [faces.length * (FACE_PX + MARGIN.left + GAP_PX), HEAD_PX + FACE_PX / nx * ny + MARGIN.top + MARGIN.bottom + 44];
}

function footnote(live) {
  const p = live.particle, kind = kindOf(live);
  return [`Simulation · ${live.config.label} · not an ALICE result.`,
    `${kind.name} (PDG ${p.pdg}), E = ${p.energy_gev} GeV, px = ${p.px_gev}, py = ${p.py_gev} GeV, vertex `
    + `(${p.vx_cm}, ${p.vy_cm}, ${p.vz_cm}) cm, seed ${live.config.seed}; colours ${live.sight.log ? "log(1 + photons)" : "linear"}, residual linear.`];
}

function savePictures(live, format) {
  const faces = scenesOf(live).filter(({ scene }) => scene.values)
    .map(({ scene, words }) => ({ scene, words: live.at(words).innerText.split("\n").map((line) => line.trim()).filter(Boolean) }));
  if (!faces.length) return;
  const stem = `shower_pdg${live.particle.pdg}_E${live.particle.energy_gev}GeV_seed${live.config.seed}`;
  savePicture(stem, format, sheetSize(live, faces), (...size) => new SvgPen(...size), (pen) => pen,
    (pen) => sheet(live, pen, faces));
}
