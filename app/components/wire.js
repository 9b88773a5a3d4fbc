// Asking /api: arrays in safetensors, errors as the sentence they carry. Pieces that panel.py joins: files, wire, physics,
// canvas, overlay, pad, walk, ask, words, form, save, panel.

function readArrays(buffer) { // safetensors: length of the header, header, tensors
  const view = new DataView(buffer);
  const size = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const kinds = { F32: Float32Array, F64: Float64Array, I32: Int32Array, U32: Uint32Array, I16: Int16Array,
    U16: Uint16Array, I8: Int8Array, U8: Uint8Array, I64: BigInt64Array };
  const arrays = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || !kinds[entry.dtype]) continue;
    const [start, end] = entry.data_offsets;
    arrays[name] = { shape: entry.shape, values: new kinds[entry.dtype](buffer.slice(8 + size + start, 8 + size + end)) };
  }
  return { arrays, meta: JSON.parse(header.__metadata__?.meta ?? "{}") };
}

function fingerprint(values) { // FNV-1a over the pixels: tells pictures apart
  let hash = 0x811c9dc5;
  for (let k = 0; k < values.length; k++) hash = Math.imul(hash ^ Math.round(values[k] * 16), 0x01000193);
  return hash >>> 0;
}

async function post(live, path, body) {
  const response = await fetch(`${live.config.base}/api/${path}`, {
    method: "POST", body: JSON.stringify(body),
    headers: { "content-type": "application/json", "x-showerscope-key": live.config.key },
  });
  if (response.ok) return readArrays(await response.arrayBuffer());
  let said = `The engine answered ${response.status}.`;
  try { said = (await response.json()).error ?? said; } catch { /* no JSON: the number has to do */ }
  throw Object.assign(new Error(said), { status: response.status });
}
