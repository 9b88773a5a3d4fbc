// A map with places to drag. Python gives places, deliveries and prices; while something is dragged this sends where it
// is, one question at a time, so that the plan follows the hand as fast as it is answered.

const BOX = { left: 34, top: 8, side: 336 }; // of the map in the units of the SVG's view box
const SVG = "http://www.w3.org/2000/svg";
const PATIENCE_MS = 1500; // after which a question counts as lost

const tenth = (value) => Math.round(value * 10) / 10;

function make(parent, tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  parent.append(node);
  return node;
}

const pixel = (live, [x, y]) => {
  const scale = BOX.side / live.config.extent;
  return [BOX.left + x * scale, BOX.top + BOX.side - y * scale];
};

function frame(live) { // what never moves
  const { extent, unit } = live.config, { left, top, side } = BOX, svg = live.svg;
  svg.replaceChildren();
  make(svg, "rect", { class: "frame", x: left, y: top, width: side, height: side });
  for (let value = 0; value <= extent; value += extent / 5) {
    const [x, y] = pixel(live, [value, value]);
    make(svg, "path", { class: "tick", d: `M${x} ${top + side}v4M${left} ${y}h-4` });
    make(svg, "text", { x, y: top + side + 15, "text-anchor": "middle", class: "muted" }, `${value}`);
    make(svg, "text", { x: left - 7, y: y + 4, "text-anchor": "end", class: "muted" }, `${value}`);
  }
  make(svg, "text", { x: left + side / 2, y: top + side + 29, "text-anchor": "middle", class: "muted" }, `x [${unit}]`);
  make(svg, "text", { x: 10, y: top + side / 2, "text-anchor": "middle", class: "muted",
    transform: `rotate(-90 10 ${top + side / 2})` }, `y [${unit}]`);
  live.flows = make(svg, "g");
  live.marks = live.config.places.map((place, k) => mark(live, place, k));
}

function mark(live, place, k) {
  const group = make(live.svg, "g", { class: "place", tabindex: 0, role: "button" });
  make(group, "circle", { class: "ring", r: 15 });
  make(group, "circle", { r: 20, fill: "transparent" }); // a finger is wider than the mark
  if (place.source) make(group, "circle", { class: "source", r: 9 });
  else make(group, "path", { class: "target", d: "M0 -11L10.5 8H-10.5Z" });
  const name = make(group, "text", { class: "halo", "font-weight": 600 });
  const price = make(group, "text", { class: "halo" });
  group.addEventListener("pointerdown", (event) => drag(live, k, group, event));
  group.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.1 : 0.5;
    moveTo(live, k, live.at[k].map((value, axis) => value + way[axis] * step));
  });
  return { group, name, price };
}

function drag(live, k, group, event) {
  if (event.button !== 0) return;
  event.preventDefault();
  group.focus({ preventScroll: true });
  group.setPointerCapture(event.pointerId);
  live.dragged = k;
  const move = ({ clientX, clientY }) => {
    const at = new DOMPoint(clientX, clientY).matrixTransform(live.svg.getScreenCTM().inverse());
    const scale = live.config.extent / BOX.side;
    moveTo(live, k, [(at.x - BOX.left) * scale, (BOX.top + BOX.side - at.y) * scale]);
  };
  group.addEventListener("pointermove", move);
  group.addEventListener("lostpointercapture", () => {
    group.removeEventListener("pointermove", move);
    live.dragged = null;
    ask(live);
  }, { once: true });
}

function moveTo(live, k, at) {
  const inside = at.map((value) => tenth(Math.min(live.config.extent, Math.max(0, value))));
  if (inside.some(Number.isNaN) || inside.every((value, axis) => value === live.at[k][axis])) return;
  live.at[k] = inside;
  place(live);
  ask(live);
}

function ask(live) { // one question at a time; the answer asks again where the hand has moved on
  const wanted = JSON.stringify(live.at);
  if (wanted === live.asked) return;
  if (live.waiting && performance.now() - live.askedAt < PATIENCE_MS) return;
  live.waiting = true; live.asked = wanted; live.askedAt = performance.now();
  live.send(JSON.parse(wanted));
}

function wordsRight(live, k) { // on the side where no way leaves, and inside the map
  const { flows, extent } = live.config, [x] = live.at[k];
  if (x > 0.72 * extent) return false;
  if (x < 0.28 * extent) return true;
  let pull = 0;
  for (const { from, to } of flows) if (from === k || to === k) pull += Math.sign(live.at[from === k ? to : from][0] - x);
  return pull <= 0;
}

function place(live) { // marks and ways where the places are now; deliveries as they were last answered
  const { places, flows, prices } = live.config;
  for (const [k, { group, name, price }] of live.marks.entries()) {
    const [x, y] = pixel(live, live.at[k]), right = wordsRight(live, k);
    group.setAttribute("transform", `translate(${x} ${y})`);
    const side = { x: right ? 14 : -14, "text-anchor": right ? "start" : "end" };
    for (const [node, down, text] of [[name, -2, `${places[k].name}, ${places[k].mass}`], [price, 11, prices[k]]]) {
      for (const [key, value] of Object.entries({ ...side, y: down })) node.setAttribute(key, value);
      if (node.textContent !== text) node.textContent = text;
    }
    group.setAttribute("aria-label", `${places[k].name}, ${places[k].mass} ${live.config.goods}, ${prices[k]}, at `
      + `${live.at[k].join(", ")} ${live.config.unit}. Arrow keys move it by half a ${live.config.unit}, with Shift by a tenth.`);
  }
  live.flows.replaceChildren();
  for (const { from, to, amount } of flows) {
    const [[x1, y1], [x2, y2]] = [pixel(live, live.at[from]), pixel(live, live.at[to])];
    make(live.flows, "line", { class: "flow", x1, y1, x2, y2, "stroke-width": 1 + amount / 6 });
  }
  for (const { from, to, amount } of flows) { // nearer to where it goes: ways part there
    const [[x1, y1], [x2, y2]] = [pixel(live, live.at[from]), pixel(live, live.at[to])];
    make(live.flows, "text", { class: "halo", x: x1 + 0.56 * (x2 - x1), y: y1 + 0.56 * (y2 - y1) + 4,
      "text-anchor": "middle" }, `${amount}`);
  }
  const focused = live.root.getRootNode().activeElement;
  for (const [k, inputs] of live.inputs.entries()) {
    for (const [axis, input] of inputs.entries()) if (input !== focused) input.value = live.at[k][axis];
  }
}

function entries(live) {
  const { places, extent, unit } = live.config;
  live.inputs = places.map((_, k) => ["x", "y"].map((axis, a) => {
    const input = Object.assign(document.createElement("input"),
      { type: "number", min: 0, max: extent, step: 0.1, ariaLabel: `${places[k].name}, ${axis} in ${unit}` });
    input.oninput = () => {
      if (input.value === "" || !Number.isFinite(Number(input.value))) return;
      moveTo(live, k, live.at[k].map((value, b) => b === a ? Number(input.value) : value));
    };
    return input;
  }));
  live.root.querySelector(".entries").replaceChildren(...places.flatMap((p, k) => {
    const name = Object.assign(document.createElement("span"), { textContent: `${p.name}, x and y [${unit}]` });
    return [name, ...live.inputs[k]];
  }));
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".root");
  const fresh = !parentElement.board, live = (parentElement.board ??= { root, svg: root.querySelector(".map"), answers: 0 });
  live.config = data;
  live.send = (at) => setStateValue("places", at);
  const answered = JSON.stringify(data.at);
  if (fresh) {
    live.at = data.at.map((point) => [...point]);
    live.asked = answered;
    live.svg.setAttribute("aria-label", data.label);
    root.querySelector(".label").textContent = data.label;
    frame(live); entries(live);
    root.querySelector(".back").onclick = () => { live.at = data.start.map((point) => [...point]); place(live); ask(live); };
  }
  if (answered === live.asked) {
    if (live.waiting) { live.answers += 1; root.dataset.ms = (performance.now() - live.askedAt).toFixed(0); }
    live.waiting = false;
  }
  place(live);
  Object.assign(root.dataset, { answers: live.answers, flows: JSON.stringify(data.flows), state: "ready" });
  if (!live.waiting) ask(live);
}
