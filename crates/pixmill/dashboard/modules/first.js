// Before anything is drawn: the colours that were chosen here, and what markup this page may make.
// Markup comes from this server alone, and all that others wrote in it is escaped there.
if (window.trustedTypes) {
  window.trustedTypes.createPolicy("default", { createHTML: (markup) => markup });
}
const chosen = (() => {
  try {
    return localStorage.getItem("pixmill-theme");
  } catch {
    return null;
  }
})();
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
