// What changes by itself: one request by a stream, lists by asking again. Both stop while nobody looks.
const EVERY = 5_000;

function say(text) {
  const place = document.querySelector("[data-connection]");
  if (place && place.textContent !== text) place.textContent = text;
}

function stream(times) {
  const panel = document.querySelector("[data-live]");
  if (!panel || !window.htmx) return;
  const source = document.createElement("div");
  source.hidden = true;
  source.setAttribute("hx-sse:connect", panel.dataset.live);
  source.setAttribute("hx-sse:close", "over");
  source.setAttribute("hx-config", '{"timeout": 0}');
  panel.after(source);
  const title = document.title;
  let lost;
  source.addEventListener("htmx:sse:after:connection", () => {
    clearTimeout(lost);
    lost = undefined;
    say("live");
  });
  source.addEventListener("htmx:sse:error", () => {
    say("reconnecting");
    lost ??= setTimeout(() => say("the server is away: this page goes on when it is back"), 10_000);
  });
  source.addEventListener("htmx:sse:after:message", () => {
    const percent = panel.querySelector("[data-percent]")?.textContent;
    if (percent) document.title = `${percent} · ${title}`;
    times(panel);
  });
  source.addEventListener("over", () => {
    say("");
    document.title = title;
    const announce = document.querySelector("[data-announce]");
    const ended = panel.querySelector(".status-line .state")?.textContent.trim();
    if (announce) announce.textContent = `The request has ended: ${ended}.`;
    // What failed, and what can be done now, is another page.
    setTimeout(() => location.reload(), 600);
  });
  window.htmx.process(source);
}

// Lines that changed are exchanged where they stand; new ones wait behind a pill, so that none moves under the pointer.
function list(times) {
  const table = document.querySelector("[data-refresh]");
  if (!table) return;
  let paused = false;
  document.addEventListener("pixmill:pause", () => {
    paused = !paused;
    say(paused ? "paused" : "live");
  });
  const busy = () =>
    paused || document.hidden || table.contains(document.activeElement) || getSelection()?.type === "Range";
  const look = async () => {
    if (busy()) return;
    const answer = await fetch(table.dataset.refresh, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.querySelector("[data-refresh] tbody");
    if ("whole" in table.dataset) {
      // What opens in a line would close under the pointer.
      if (!now) location.reload();
      else if (!table.querySelector("details[open]")) table.tBodies[0].replaceWith(document.adoptNode(now));
      times(table);
      say("live");
      return;
    }
    let fresh = 0;
    for (const line of page.querySelectorAll("[data-refresh] tbody tr")) {
      const known = document.getElementById(line.id);
      if (!known) fresh += 1;
      else if (known.innerHTML !== line.innerHTML) known.replaceWith(document.adoptNode(line));
    }
    times(table);
    pill(table, fresh);
    say("live");
  };
  setInterval(() => look().catch(() => say("the server is away: this page goes on when it is back")), EVERY);
  say("live");
}

function pill(table, fresh) {
  let place = document.querySelector(".pill");
  if (fresh === 0) {
    place?.remove();
    return;
  }
  if (!place) {
    place = document.createElement("button");
    place.className = "pill";
    place.type = "button";
    place.addEventListener("click", () => location.reload());
    table.before(place);
  }
  place.textContent = `${fresh} new`;
}

export function live({ times }) {
  stream(times);
  list(times);
}
