// Runs before the first paint, so that no page flashes in the wrong theme. Kept outside the bundle because it must block.
(() => {
  let choice = "system";
  try {
    choice = localStorage.getItem("runlore.theme") || "system";
  } catch {}
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
