// The recipe tried on three of the catalogue's own pictures, and its shops asked, before anything is handed in.
import { element } from "./element.js";

const AFTER = 500;
const OPTIONS = ["format", "quality", "max_width", "max_height"];
const UNITS = ["B", "kB", "MB", "GB", "TB"];

function bytes(number) {
  let at = 0;
  let left = number;
  while (left >= 999.5 && at < UNITS.length - 1) {
    left /= 1000;
    at += 1;
  }
  return `${at > 0 && left < 9.95 ? left.toFixed(1) : Math.round(left)} ${UNITS[at]}`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function plain(address) {
  const text = address.split(/[?#]/)[0];
  return text.length > 72 ? `${text.slice(0, 34)}…${text.slice(-36)}` : text;
}

function picture(address, name) {
  const made = document.createElement("img");
  made.src = address;
  made.alt = name;
  return made;
}

function card(address, told) {
  const line = element("li");
  const of = element("div", undefined, "of");
  if (told.problem) {
    of.append(element("p", told.problem, "bad"), element("p", plain(address), "address"));
    line.append(of);
    return line;
  }
  const both = element("div", undefined, "both");
  both.append(picture(told.before, "Before"), picture(told.after, "After"));
  const saved = 100 * (1 - told.bytesAfter / told.bytesBefore);
  const figures = element("p", `${bytes(told.bytesBefore)} → `);
  figures.append(element("b", bytes(told.bytesAfter)), `, ${saved.toFixed(1)} % saved`);
  const score = element("p");
  if (typeof told.score === "number") score.append("SSIMULACRA2 ", element("b", told.score.toFixed(1)), ", ");
  score.append(told.meaning);
  of.append(figures, score, element("p", `${told.width} × ${told.height} ${told.format}, in ${told.ms} ms`, "hint"), element("p", plain(address), "address"));
  line.append(both, of);
  return line;
}

// From rows that lie apart, each address once.
function some(found) {
  const addresses = [...new Set(found.rows.flatMap((row) => row.images.slice(0, 1)).map((image) => image.url))];
  const last = addresses.length - 1;
  return [...new Set([0, Math.floor(last / 2), last])].filter((at) => at >= 0).map((at) => addresses[at]);
}

async function asked(address, options) {
  try {
    const answer = await fetch(address, options);
    const told = await answer.json();
    return answer.ok ? told : { problem: told.detail };
  } catch {
    return { problem: "The server could not be reached." };
  }
}

export function trial(form) {
  const base = document.body.dataset.base;
  const place = form.querySelector("[data-trial]");
  let addresses = [];
  let turn = 0;
  let waiting;
  const run = async () => {
    const own = ++turn;
    if (addresses.length === 0) {
      place.replaceChildren();
      return;
    }
    const recipe = Object.fromEntries(OPTIONS.map((name) => [name, form.elements[name].value]));
    const list = element("ol", undefined, "gallery tried");
    const said = element("p", "The recipe is tried on three of its pictures …", "found");
    said.setAttribute("role", "status");
    // What is there stays until something better is.
    if (!place.firstChild) place.replaceChildren(said);
    for (const url of addresses) {
      const told = await asked(`${base}/v1/preview/image`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ url, ...recipe }),
      });
      if (own !== turn) return;
      list.append(card(url, told));
    }
    said.textContent = "The recipe on three of its pictures, before and after.";
    place.replaceChildren(said, list);
  };
  for (const name of OPTIONS) {
    form.elements[name].addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(run, AFTER);
    });
  }
  return (found) => {
    addresses = found ? some(found) : [];
    run();
  };
}

function table(origins) {
  const made = element("table", undefined, "list cards");
  made.append(element("caption", "Whom pictures would be asked of", "sr"));
  const head = element("tr");
  const names = ["Shop", "Pictures", "Asked for", "Not there", "Mean size", "Answers after"];
  names.forEach((name, at) => {
    const cell = element("th", name, at > 0 ? "n" : "");
    cell.scope = "col";
    head.append(cell);
  });
  const top = element("thead");
  top.append(head);
  const body = element("tbody");
  for (const one of origins) {
    const line = element("tr");
    const name = element("th", one.origin);
    name.scope = "row";
    const mean = one.meanBytes == null ? "–" : bytes(one.meanBytes);
    const ms = one.meanMs == null ? "–" : `${one.meanMs} ms`;
    line.append(name);
    [one.images, one.probed, one.failed, mean, ms].forEach((text, at) => {
      const cell = element("td", `${text}`, at === 2 && one.failed > 0 ? "n bad" : "n");
      cell.dataset.label = names[at + 1];
      line.append(cell);
    });
    body.append(line);
  }
  made.append(top, body);
  return made;
}

function report(told) {
  if (told.problem) return [element("p", told.problem, "notice bad")];
  const { bytesBefore, bytesAfter, seconds } = told.estimate;
  const guess = bytesBefore == null ? "" : ` About ${bytes(bytesBefore)}${bytesAfter == null ? "" : ` would become ${bytes(bytesAfter)}`}${seconds == null ? "" : `, in ${duration(seconds)}`}.`;
  const parts = [element("p", `${told.images} pictures in ${told.rows} rows.${guess}`, "found"), table(told.origins)];
  if (told.problemsTotal > 0) {
    const list = element("ul", undefined, "bad");
    for (const one of told.problems.slice(0, 8)) list.append(element("li", `line ${one.line}, picture ${one.position}: ${one.message}`));
    parts.push(element("p", `${told.problemsTotal} of those that were asked for would fail:`), list);
  }
  return parts;
}

// "Look first": all of the catalogue is read, and its shops are asked.
export function ask(form) {
  const button = form.querySelector("[data-ask]");
  const place = form.querySelector("[data-asked]");
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    button.disabled = true;
    place.replaceChildren(element("p", "Its shops are asked for some pictures …", "found"));
    const body = new FormData();
    for (const field of form.querySelectorAll("input:not([type=file]), select")) {
      if (field.name && field.value && field.name !== "webhookUrl") body.append(field.name, field.value);
    }
    body.append("file", form.elements.file.files[0]);
    const told = await asked(`${document.body.dataset.base}/v1/preflight`, { method: "POST", body });
    place.replaceChildren(...report(told));
    button.disabled = false;
  });
}
