// Stands in the head of the page: the reader's theme, before anything is drawn, and how values are written.
window.fleetgen = (() => {
  const root = document.documentElement;
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => (root.dataset.theme = localStorage.fleetgenTheme || (preferred.matches ? "dark" : "light"));
  paint();
  preferred.addEventListener("change", paint);
  addEventListener("storage", paint);

  const locale = navigator.languages;
  const digits = (options) => new Intl.NumberFormat(locale, options);
  const whole = digits({ maximumFractionDigits: 0 });
  const decimal = digits({ minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const percent = digits({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const two = digits({ maximumSignificantDigits: 2 });
  const three = digits({ maximumSignificantDigits: 3 });
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

  const span = (value) => {
    const total = Math.max(0, Math.floor(value));
    if (total < 60) return `${total} s`;
    if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
    if (total < 86400) return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
    return `${whole.format(Math.floor(total / 86400))} d ${Math.floor((total % 86400) / 3600)} h`;
  };
  const seconds = (value) => {
    if (value < 0.9995) return `${(value < 0.0995 ? two : three).format(value * 1000)} ms`;
    return value < 60 ? `${three.format(value)} s` : span(value);
  };
  const isToday = (value) => new Date(value).toDateString() === new Date().toDateString();

  const page = {
    skew: 0, // how far the server's clock is ahead, in milliseconds
    since: (instant, at) => (at + page.skew - instant) / 1000,
    synchronise: (instant) => (page.skew = instant - Date.now()),
    dark: () => root.dataset.theme === "dark",
    toggle() {
      localStorage.fleetgenTheme = page.dark() ? "light" : "dark";
      paint();
    },
    exact: (value) => `${day.format(value)} (${new Date(value).toISOString().replace("T", " ").slice(0, 23)} UTC)`,
    shown(kind, value, at) {
      if (value === null || value === undefined) return "–";
      if (kind === "number") return whole.format(value);
      if (kind === "decimal") return decimal.format(value);
      if (kind === "percent") return percent.format(value);
      if (kind === "seconds") return seconds(value);
      if (kind === "time") return isToday(value) ? clock.format(value) : day.format(value);
      if (kind === "age") return `${span(page.since(value, at))} ago`;
      if (kind === "elapsed") return span(page.since(value, at));
      if (kind === "until") return page.since(value, at) < 0 ? `in ${span(1 - page.since(value, at))}` : "now";
      return String(value);
    },
  };
  return page;
})();
