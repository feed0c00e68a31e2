// What a catalogue is understood as, before it is handed in: its first bytes alone are looked at, and nothing is stored.
import { element } from "./element.js";
import { ask, trial } from "./trial.js";

const FIRST = 65_536;
const ROLES = { picture: "pictures", name: "product's name", unread: "looks like pictures, not read", other: "" };

function columns(found, form, again) {
  const box = element("div", undefined, "fields");
  for (const [label, role] of [["Pictures stand in", "picture"], ["Names stand in", "name"]]) {
    const place = element("div");
    const id = `chosen-${role}`;
    const title = element("label", label);
    title.htmlFor = id;
    const select = document.createElement("select");
    select.id = id;
    for (const column of found.columns) {
      const option = element("option", column.name || `column ${column.number}`);
      option.value = column.number;
      option.selected = column.role === role;
      select.append(option);
    }
    if (!found.columns.some((column) => column.role === role)) {
      const none = element("option", "none of them");
      none.value = "";
      none.selected = true;
      select.prepend(none);
    }
    select.addEventListener("change", () => {
      form.elements[role === "picture" ? "column" : "name_column"].value = select.value;
      again();
    });
    place.append(title, select);
    box.append(place);
  }
  return box;
}

function rows(found) {
  const frame = element("div", undefined, "frame");
  frame.tabIndex = 0;
  const table = element("table", undefined, "list");
  table.append(element("caption", "The first rows as they are understood", "sr"));
  const head = element("tr");
  for (const column of found.columns) {
    const cell = element("th", column.name || `column ${column.number}`, column.role === "picture" ? "is-picture" : "");
    cell.scope = "col";
    if (ROLES[column.role]) cell.append(element("small", ROLES[column.role]));
    head.append(cell);
  }
  const top = element("thead");
  top.append(head);
  const body = element("tbody");
  for (const row of found.rows) {
    const line = element("tr", undefined, row.error ? "bad" : "");
    row.cells.forEach((text, at) => {
      const cell = element("td", text.length > 90 ? `${text.slice(0, 88)}…` : text);
      const pictures = row.images.filter((image) => image.column === at + 1).length;
      if (pictures > 0) cell.append(element("small", `${pictures} picture${pictures > 1 ? "s" : ""}`));
      line.append(cell);
    });
    body.append(line);
  }
  table.append(top, body);
  frame.append(table);
  return frame;
}

function shown(found, form, again) {
  const parts = [];
  const count = `${found.images} picture${found.images === 1 ? "" : "s"}`;
  const where = found.hosts.slice(0, 4).map((host) => `${host.host} (${host.images})`).join(", ");
  parts.push(element("p", `${found.partial ? "In its beginning: " : ""}${count}${where ? `, at ${where}` : ""}.`, "found"));
  for (const warning of found.warnings) parts.push(element("p", warning, "notice warn"));
  parts.push(columns(found, form, again), rows(found));
  if (found.rowErrorsTotal > 0) {
    const list = element("ul", undefined, "bad");
    for (const error of found.rowErrors.slice(0, 8)) list.append(element("li", `line ${error.line}: ${error.message}`));
    parts.push(element("p", `${found.rowErrorsTotal} rows can't be used:`), list);
  }
  return parts;
}

export function preview() {
  const form = document.querySelector("[data-new]");
  const place = form?.querySelector("[data-preview]");
  if (!place) return;
  let turn = 0;
  const tried = trial(form);
  ask(form);
  const look = async () => {
    const file = form.elements.file.files[0];
    const own = ++turn;
    if (!file) {
      place.replaceChildren();
      tried(undefined);
      return;
    }
    form.querySelector("[data-asked]").replaceChildren();
    const query = new FormData();
    for (const name of ["column", "name_column", "base_url"]) {
      if (form.elements[name].value) query.append(name, form.elements[name].value);
    }
    // A workbook is read from its end, so that its beginning alone tells nothing.
    const whole = /\.(xlsx|ods|gz|zip)$/i.test(file.name) || file.size <= FIRST;
    query.append("file", whole ? file : file.slice(0, FIRST), file.name);
    const base = document.body.dataset.base;
    const address = `${base}/v1/preview${whole ? "" : "?partial=true"}`;
    let parts, found;
    try {
      const answer = await fetch(address, { method: "POST", body: query });
      found = await answer.json();
      parts = answer.ok ? shown(found, form, look) : [element("p", found.detail, "notice bad")];
    } catch {
      parts = [element("p", "It could not be looked at now. It can be handed in all the same.", "hint")];
    }
    if (own !== turn) return;
    place.replaceChildren(...parts);
    tried(found?.rows ? found : undefined);
  };
  form.elements.file.addEventListener("change", look);
  for (const name of ["column", "name_column", "base_url"]) form.elements[name].addEventListener("change", look);
}
