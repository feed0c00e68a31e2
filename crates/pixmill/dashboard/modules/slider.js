// Before and after in one place: a range that keys, a mouse and a finger move, and that says where it is.
export function slider() {
  for (const place of document.querySelectorAll("[data-compare]")) {
    const range = place.querySelector("input[type=range]");
    const after = place.querySelector("[data-after]");
    if (!range || !after) continue;
    const show = () => {
      after.style.setProperty("clip-path", `inset(0 0 0 ${range.value}%)`);
      place.style.setProperty("--at", `${range.value}%`);
      range.setAttribute("aria-valuetext", `${100 - range.value} % compressed`);
    };
    range.addEventListener("input", show);
    range.addEventListener("keydown", (event) => {
      if (!event.shiftKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      event.preventDefault();
      range.value = Number(range.value) + (event.key === "ArrowLeft" ? -10 : 10);
      show();
    });
    const flip = () => {
      range.value = range.value > 50 ? 0 : 100;
      show();
    };
    place.querySelector("[data-flip]")?.addEventListener("click", flip);
    place.querySelector("[data-zoom]")?.addEventListener("click", () => place.classList.toggle("whole-size"));
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input:not([type=range]), textarea, select, dialog");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "f") flip();
      if (event.key === "z") place.classList.toggle("whole-size");
    });
    place.dataset.ready = "";
    show();
  }
}
