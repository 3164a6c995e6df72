"use strict";
// Light or dark: as the system has it, until the button says otherwise.

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : prefersDark.matches;
}

function afterTheme() {
  $("theme").setAttribute("aria-pressed", String(isDark()));
  page?.recolour();
  recolourPlots();
}

$("theme").hidden = false;
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  afterTheme();
});
prefersDark.addEventListener("change", afterTheme);
afterTheme();
document.documentElement.dataset.ready = "yes";
