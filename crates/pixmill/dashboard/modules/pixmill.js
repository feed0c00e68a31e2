// What every page does beyond links and forms. Nothing depends on it: without it the same pages load anew.
import { keys } from "./keys.js";
import { live } from "./live.js";

const themes = { light: "dark", dark: "light" };

function theme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = themes[root.dataset.theme ?? (dark ? "dark" : "light")];
  try {
    localStorage.setItem("pixmill-theme", root.dataset.theme);
  } catch {
    // Kept for this page alone.
  }
}

// Times as people here read them, on hover and for whoever asks.
function times(within) {
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of within.querySelectorAll("time[datetime]")) {
    time.title = exact.format(new Date(time.dateTime));
  }
}

function confirmed(form) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  text.textContent = form.dataset.confirm;
  const buttons = document.createElement("form");
  buttons.method = "dialog";
  for (const [value, word, look] of [["no", "Not now", ""], ["yes", "Go on", "main"]]) {
    const button = document.createElement("button");
    button.value = value;
    button.textContent = word;
    if (look) button.className = look;
    buttons.append(button);
  }
  dialog.append(text, buttons);
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus();
    if (dialog.returnValue === "yes") {
      form.dataset.confirmed = "yes";
      form.requestSubmit();
    }
  });
  dialog.showModal();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.confirm && !form.dataset.confirmed) {
    event.preventDefault();
    confirmed(form);
  }
});

// A key that was just made, to be copied.
for (const copy of document.querySelectorAll("[data-copy]")) {
  const secret = document.getElementById(copy.dataset.copy);
  secret.addEventListener("focus", () => secret.select());
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(secret.value);
    copy.textContent = "Copied";
  });
}

const clock = document.querySelector("[data-clock]");
const tick = () => {
  if (clock) clock.textContent = `${new Date().toISOString().slice(11, 16)} UTC`;
};
tick();
setInterval(tick, 10_000);

const button = document.querySelector("[data-theme-switch]");
if (button) {
  button.hidden = false;
  button.addEventListener("click", theme);
}
times(document);
keys({ theme });
live({ times });
const print = document.querySelector("[data-print]");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}

// What only some pages need is loaded there alone.
if (document.querySelector("[data-new]")) {
  import("./upload.js").then(({ upload }) => upload());
  import("./preview.js").then(({ preview }) => preview());
}
if (document.querySelector("[data-compare], [data-score], [data-scores]")) {
  import("./compare.js").then(({ compare }) => compare());
}
