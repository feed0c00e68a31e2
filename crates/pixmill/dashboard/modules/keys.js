// Keys for those who come every week. Only while no field has the focus, and never with a modifier.
const WORDS = [
  ["/", "Find"],
  ["g r", "Requests"],
  ["g w", "Webhooks"],
  ["g s", "Savings"],
  ["g h", "Hosts"],
  ["g y", "System"],
  ["n", "New request"],
  ["j  k", "Next and previous line"],
  ["Enter", "Open the line"],
  ["f", "Before or after"],
  ["z  +  -  0", "Pixel by pixel, larger, smaller, all of it"],
  ["t", "Light or dark"],
  ["p", "Pause what is live"],
  ["?", "These keys"],
];

function help() {
  const dialog = document.createElement("dialog");
  const title = document.createElement("h2");
  title.textContent = "Keys";
  const list = document.createElement("dl");
  list.className = "words";
  for (const [key, word] of WORDS) {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const name = document.createElement("kbd");
    name.textContent = key;
    term.append(name);
    const meaning = document.createElement("dd");
    meaning.textContent = word;
    pair.append(term, meaning);
    list.append(pair);
  }
  const off = document.createElement("label");
  off.className = "tick";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = !isOff();
  box.addEventListener("change", () => localStorage.setItem("pixmill-keys", box.checked ? "on" : "off"));
  off.append(box, " Keys are on");
  const close = document.createElement("form");
  close.method = "dialog";
  const button = document.createElement("button");
  button.textContent = "Close";
  close.append(button);
  dialog.append(title, list, off, close);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

export function isOff() {
  try {
    return localStorage.getItem("pixmill-keys") === "off";
  } catch {
    return false;
  }
}

function step(by) {
  const lines = [...document.querySelectorAll("[data-row]")];
  if (lines.length === 0) {
    document.querySelector(by > 0 ? "[rel=next]" : "[rel=prev]")?.click();
    return;
  }
  const at = lines.findIndex((line) => line.contains(document.activeElement));
  const next = lines[Math.min(Math.max(at + by, 0), lines.length - 1)];
  next.querySelector("th a, a, input")?.focus();
  next.scrollIntoView({ block: "nearest" });
}

export function keys({ theme }) {
  const base = document.body.dataset.base;
  const go = (path) => location.assign(base + path);
  let first = "";
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || isOff()) return;
    const pair = first + event.key;
    first = "";
    const does = {
      "/": () => document.querySelector("[data-search]")?.focus(),
      gr: () => go("/requests"),
      gw: () => go("/webhooks"),
      gs: () => go("/savings"),
      gh: () => go("/hosts"),
      gy: () => go("/system"),
      n: () => go("/requests/new"),
      j: () => step(1),
      k: () => step(-1),
      t: theme,
      p: () => document.dispatchEvent(new CustomEvent("pixmill:pause")),
      "?": help,
    }[pair];
    if (event.key === "g" && pair === "g") {
      first = "g";
    } else if (does) {
      event.preventDefault();
      does();
    }
  });
  const button = document.querySelector("[data-keys]");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", help);
  }
}
