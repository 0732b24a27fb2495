// Apply the theme chosen earlier, else the system's. A classic script, so that it runs before the first paint.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the page uses the system's theme.
}
