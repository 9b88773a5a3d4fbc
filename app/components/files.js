// Bytes in, files out: what parts of a page that are told tables and save pictures have in common.

function readBytes(text) { // base64, as Python sends small tables
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function savePicture(stem, format, [width, height], vector, raster, draw) { // SVG by one pen, PNG of twice the size by another
  if (format === "svg") {
    const pen = vector(width, height);
    draw(pen);
    hand(URL.createObjectURL(new Blob([String(pen)], { type: "image/svg+xml" })), `${stem}.svg`);
    return;
  }
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  draw(raster(pen));
  canvas.toBlob((blob) => hand(URL.createObjectURL(blob), `${stem}.png`), "image/png");
}

function hand(address, name) {
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
