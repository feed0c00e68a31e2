// Handing a catalogue in: dropped anywhere on its place, and with its progress. The file begins to move at "Start".
export function upload() {
  const form = document.querySelector("[data-new]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector("[data-drop]");
  const progress = form.querySelector("[data-upload]");
  const said = form.querySelector("[data-said]");
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, () => drop.classList.remove("over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length > 0) {
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });
  // A second click makes no second request.
  const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const call = new XMLHttpRequest();
    call.open("POST", form.action);
    call.setRequestHeader("idempotency-key", key);
    call.responseType = "document";
    call.upload.addEventListener("progress", ({ loaded, total }) => {
      progress.value = total ? (100 * loaded) / total : 0;
      said.textContent = `${Math.floor(progress.value)} % handed in`;
    });
    call.addEventListener("load", () => {
      if (call.status < 300) {
        location.assign(call.responseURL);
        return;
      }
      progress.hidden = true;
      said.textContent = call.response?.querySelector(".lead")?.textContent ?? `The server answered ${call.status}.`;
      said.className = "bad";
      said.setAttribute("role", "alert");
    });
    call.addEventListener("error", () => {
      progress.hidden = true;
      said.textContent = "The server could not be reached. Nothing was handed in twice: press Start again.";
      said.className = "bad";
    });
    progress.hidden = false;
    call.send(new FormData(form));
  });
}
