// Before the first paint, so that a chosen theme does not flash: the only script that is not a module.
try {
  const theme = localStorage.getItem("otel-llm.theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be forbidden; the system's theme is then used.
}
