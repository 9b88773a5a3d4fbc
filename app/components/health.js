// Device and state of the engine, asked again by itself.

const EVERY_MS = 5000;

function write(root, { colour, said, detail }) {
  root.querySelector(".ss-dot").style.background = colour;
  root.querySelector("b").textContent = said;
  root.querySelector(".ss-muted").textContent = detail;
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".ss-state");
  write(root, data);
  const timer = setInterval(async () => {
    const said = document.hidden ? undefined : await ask(data, "health", {});
    if (said) write(root, said);
  }, EVERY_MS);
  return () => clearInterval(timer);
}
