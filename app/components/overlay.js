// The read-out drawn over a picture: borders between towers, and the fibres of the common channel.

function overlay(live, pen, cell, onWhite) {
  const { detector, readout: own } = live.config, [nx, ny] = detector.shape;
  if (!own || !(live.sight.towers || live.sight.common)) return;
  const place = (i, j) => [MARGIN.left + i * cell, MARGIN.top + (ny - 1 - j) * cell];
  const dark = onWhite ? "#1B1F24" : "#fff";
  if (live.sight.common && cell > 2.5) {
    pen.fillStyle = dark; pen.globalAlpha = onWhite ? 0.3 : 0.38;
    const dot = Math.max(1, cell * 0.22);
    for (let i = 0; i < nx; i++) for (let j = 0; j < ny; j++) {
      if (!own.common[i * ny + j]) continue;
      const [x, y] = place(i, j);
      pen.fillRect(x + (cell - dot) / 2, y + (cell - dot) / 2, dot, dot);
    }
    pen.globalAlpha = 1;
  }
  if (!live.sight.towers) return;
  pen.strokeStyle = dark; pen.lineWidth = 1.2; pen.globalAlpha = 0.8;
  pen.beginPath();
  for (let i = 0; i < nx; i++) for (let j = 0; j < ny; j++) {
    const [x, y] = place(i, j), here = own.towers[i * ny + j];
    if (i + 1 < nx && own.towers[(i + 1) * ny + j] !== here) { pen.moveTo(x + cell, y); pen.lineTo(x + cell, y + cell); }
    if (j + 1 < ny && own.towers[i * ny + j + 1] !== here) { pen.moveTo(x, y); pen.lineTo(x + cell, y); }
  }
  pen.stroke();
  pen.globalAlpha = 0.9; pen.fillStyle = dark; pen.font = fontOf(); pen.textAlign = "left"; pen.textBaseline = "top";
  for (const { channel, at } of own.corners) { // each tower's number in its upper left corner
    const [x, y] = place(...at);
    pen.fillText(String(channel + 1), x + 4, y + 4);
  }
  pen.globalAlpha = 1;
}

function legend(live) {
  const own = live.config.readout, said = [];
  if (own && live.sight.towers) said.push(`Lines: borders of the towers, each with the number of its channel.`);
  if (own && live.sight.common) said.push(own.commonChannel < 0 ? "This convention has no common channel."
    : `Dots: fibres of the common channel ${own.commonChannel + 1}.`);
  if (said.length) said.push(`Read-out convention ${live.config.convention}.`);
  live.at(".legend").textContent = said.join(" ");
}
