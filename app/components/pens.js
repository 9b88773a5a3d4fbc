// Two pens that draw alike: on a canvas, and into an SVG file.

const FONT = "IBM Plex Sans, Inter, Helvetica, Arial, sans-serif"; // of saved pictures

class CanvasPen {
  constructor(pen, font) { this.pen = pen; this.font = font; }
  path(d, { fill, stroke, width = 1, alpha = 1 }) {
    const path = new Path2D(d), { pen } = this;
    pen.globalAlpha = alpha;
    if (fill) { pen.fillStyle = fill; pen.fill(path); }
    if (stroke) { pen.strokeStyle = stroke; pen.lineWidth = width; pen.stroke(path); }
    pen.globalAlpha = 1;
  }
  image(picture, x, y, width, height) {
    this.pen.imageSmoothingEnabled = false;
    this.pen.drawImage(picture, x, y, width, height);
  }
  text(words, x, y, { fill, size = 10, anchor = "start", bold = false, turned = false }) {
    const { pen } = this;
    pen.save();
    pen.translate(x, y);
    if (turned) pen.rotate(-Math.PI / 2);
    pen.font = `${bold ? "600 " : ""}${size}px ${this.font}`;
    pen.fillStyle = fill;
    pen.textAlign = { start: "left", middle: "center", end: "right" }[anchor];
    pen.fillText(words, 0, 0);
    pen.restore();
  }
  within(x, y) { this.pen.save(); this.pen.translate(x, y); }
  out() { this.pen.restore(); }
}

class SvgPen {
  constructor(width, height) {
    this.parts = [`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`];
  }
  path(d, { fill = "none", stroke = "none", width = 1, alpha = 1 }) {
    this.parts.push(`<path d="${d}" fill="${fill}" stroke="${stroke}" stroke-width="${width}" opacity="${alpha}"/>`);
  }
  image(picture, x, y, width, height) {
    this.parts.push(`<image x="${x}" y="${y}" width="${width}" height="${height}" href="${picture.toDataURL("image/png")}" `
      + 'preserveAspectRatio="none" style="image-rendering:pixelated"/>');
  }
  text(words, x, y, { fill, size = 10, anchor = "start", bold = false, turned = false }) {
    const said = String(words).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));
    this.parts.push(`<text transform="translate(${x} ${y})${turned ? " rotate(-90)" : ""}" fill="${fill}" font-size="${size}" `
      + `font-family="${FONT}" font-weight="${bold ? 600 : 400}" text-anchor="${anchor}">${said}</text>`);
  }
  within(x, y) { this.parts.push(`<g transform="translate(${x} ${y})">`); }
  out() { this.parts.push("</g>"); }
  toString() { return `${this.parts.join("\n")}\n</svg>\n`; }
}
