// Before and after, one over the other: a slider by mouse, touch and keys; flip, 1:1, zoom. Without it, the two pictures
// stand side by side.
import { isOff } from "./keys.js";

const ZOOMS = [1, 2, 4, 8];

function button(text, title, does) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.title = title;
  made.addEventListener("click", does);
  return made;
}

// Which part of the pair is before, in percent.
function slider(pair, name) {
  const range = document.createElement("input");
  Object.assign(range, { type: "range", min: 0, max: 100, step: 1, value: 50 });
  range.setAttribute("aria-label", name);
  const set = (value) => {
    const at = Math.min(Math.max(Math.round(value), 0), 100);
    range.value = at;
    range.setAttribute("aria-valuetext", at === 100 ? "all before" : at === 0 ? "all after" : `${at} % before, ${100 - at} % after`);
    pair.style.setProperty("--at", `${at}%`);
  };
  range.addEventListener("input", () => set(Number(range.value)));
  range.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -10, ArrowDown: -10, ArrowRight: 10, ArrowUp: 10 }[event.key];
    if (!by || !event.shiftKey) return;
    event.preventDefault();
    set(Number(range.value) + by);
  });
  set(50);
  return { range, set, at: () => Number(range.value) };
}

// A pointer moves the line; where the pair is larger than its stage, it moves the pair, and its handle the line.
function pointers(stage, pair, handle, slide, zoomed) {
  let grip;
  pair.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const moves = zoomed() && event.target !== handle ? "pair" : "line";
    if (moves === "pair" && event.pointerType !== "mouse") return;
    grip = { moves, x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop };
    pair.setPointerCapture(event.pointerId);
    if (moves === "line") move(event);
  });
  const move = (event) => {
    if (!grip) return;
    if (grip.moves === "pair") {
      stage.scrollTo(grip.left + grip.x - event.clientX, grip.top + grip.y - event.clientY);
      return;
    }
    const { left, width } = pair.getBoundingClientRect();
    slide.set((100 * (event.clientX - left)) / width);
  };
  pair.addEventListener("pointermove", move);
  for (const over of ["pointerup", "pointercancel"]) pair.addEventListener(over, () => (grip = undefined));
}

function over(figure) {
  const stage = figure.querySelector("[data-stage]");
  const pair = figure.querySelector("[data-pair]");
  const [before, after] = pair.querySelectorAll("img");
  before.draggable = after.draggable = false;
  const handle = document.createElement("span");
  handle.className = "handle";
  handle.setAttribute("aria-hidden", "true");
  pair.append(handle);
  const slide = slider(pair, "Before and after");
  let zoom = 0;
  const said = document.createElement("span");
  said.className = "zoom";
  said.setAttribute("role", "status");
  // One pixel of the picture is one of the screen's.
  const whole = () => after.naturalWidth / devicePixelRatio;
  const fitting = () => Math.min(whole(), stage.clientWidth, (innerHeight * 0.72 * after.naturalWidth) / after.naturalHeight);
  const lay = () => {
    const wide = zoom === 0 ? fitting() : whole() * zoom;
    const middle = [(stage.scrollLeft + stage.clientWidth / 2) / (pair.clientWidth || 1), (stage.scrollTop + stage.clientHeight / 2) / (pair.clientHeight || 1)];
    pair.style.setProperty("--wide", `${Math.max(1, wide)}px`);
    figure.classList.toggle("zoomed", pair.clientWidth > stage.clientWidth + 1 || pair.clientHeight > stage.clientHeight + 1);
    figure.classList.toggle("pixels", zoom > 1);
    stage.scrollTo(middle[0] * pair.clientWidth - stage.clientWidth / 2, middle[1] * pair.clientHeight - stage.clientHeight / 2);
    said.textContent = zoom === 0 ? `${Math.round((100 * wide) / whole())} %` : `${100 * zoom} %`;
  };
  const show = (wanted) => {
    zoom = wanted;
    // Each pixel of the original is looked at only now.
    if (zoom > 0 && before.dataset.full) {
      before.src = before.dataset.full;
      delete before.dataset.full;
    }
    lay();
  };
  const step = (by) => show([0, ...ZOOMS][Math.min(Math.max([0, ...ZOOMS].indexOf(zoom) + by, 0), ZOOMS.length)]);
  const flip = () => slide.set(slide.at() > 50 ? 0 : 100);
  const bar = document.createElement("div");
  bar.className = "tools";
  bar.append(
    slide.range,
    button("Flip", "Before or after (f)", flip),
    button("Fit", "All of it (0)", () => show(0)),
    button("1:1", "Pixel by pixel (z)", () => show(zoom === 1 ? 0 : 1)),
    button("−", "Smaller (-)", () => step(-1)),
    button("+", "Larger (+)", () => step(1)),
    said,
  );
  stage.after(bar);
  stage.tabIndex = 0;
  stage.setAttribute("role", "group");
  stage.setAttribute("aria-label", "Before and after, one over the other");
  figure.classList.add("slides");
  pointers(stage, pair, handle, slide, () => figure.classList.contains("zoomed"));
  addEventListener("resize", lay);
  lay();
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=range]), textarea, select, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || isOff()) return;
    const does = { f: flip, z: () => show(zoom === 1 ? 0 : 1), 0: () => show(0), "+": () => step(1), "-": () => step(-1) }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
}

// What the API says of a picture that can't be had.
async function why(address) {
  try {
    const answer = await fetch(address);
    return answer.ok ? "it can't be shown" : (await answer.json()).detail;
  } catch {
    return "the server could not be reached";
  }
}

async function pictures(figure) {
  const [before, after] = figure.querySelectorAll("[data-pair] img");
  figure.setAttribute("aria-busy", "true");
  const loaded = (picture) => picture.decode().then(() => true, () => false);
  const [original, output] = await Promise.all([loaded(before), loaded(after)]);
  figure.removeAttribute("aria-busy");
  if (original && output) {
    over(figure);
    return;
  }
  const [lost, what] = original ? [after, "The output"] : [before, "The original"];
  const told = document.createElement("p");
  told.className = "notice warn";
  told.setAttribute("role", "status");
  told.textContent = `${what} can't be shown now: ${await why(lost.src)}.`;
  lost.closest(".half").hidden = true;
  figure.querySelector("[data-stage]").before(told);
}

async function scored(address) {
  const answer = await fetch(address);
  const told = await answer.json();
  if (!answer.ok) return { text: told.detail, score: undefined };
  const score = told.score ?? undefined;
  const changed = told.changed ? "; the original has changed since" : "";
  return { text: `${score === undefined ? "" : `SSIMULACRA2 ${score.toFixed(1)}, `}${told.meaning}${changed}`, score };
}

function onDemand(link) {
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const place = document.createElement("span");
    place.setAttribute("role", "status");
    place.textContent = "holding them against each other …";
    link.replaceWith(place);
    try {
      place.textContent = (await scored(link.dataset.score)).text;
    } catch {
      place.textContent = "It can't be told now.";
    }
  });
}

// One after the other; the lowest score comes first once all are there.
async function all(gallery) {
  const found = [];
  for (const place of gallery.querySelectorAll("p[data-score]")) {
    place.textContent = "…";
    const told = await scored(place.dataset.score).catch(() => ({ text: "It can't be told now." }));
    place.textContent = told.text;
    found.push({ card: place.closest("li"), score: told.score ?? 101 });
  }
  if (gallery.contains(document.activeElement)) return;
  found.sort((one, other) => one.score - other.score);
  gallery.append(...found.map(({ card }) => card));
}

export function compare() {
  for (const figure of document.querySelectorAll("[data-compare]")) pictures(figure);
  for (const link of document.querySelectorAll("a[data-score]")) onDemand(link);
  for (const gallery of document.querySelectorAll("[data-scores]")) all(gallery);
}
