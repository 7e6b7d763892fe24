// The theme of the host page: colors for the canvases, read from the CSS variables of the root, and what may change
// them.

export interface Theme {
  dark: boolean;
  background: string;
  text: string;
  muted: string;
  grid: string;
  pane: string;
  accent: string;
  font: string;
}

/** Return the perceived brightness 0..255 of a CSS color, as a canvas draws it. */
function brightness(color: string): number {
  const ctx = document.createElement("canvas").getContext("2d");
  if (!ctx) return 255;
  ctx.fillStyle = "#fff";
  ctx.fillRect(0, 0, 1, 1);
  ctx.fillStyle = color;
  ctx.fillRect(0, 0, 1, 1);
  const [r = 255, g = 255, b = 255] = ctx.getImageData(0, 0, 1, 1).data;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * Return the theme that the page declares, which may differ from the system: marimo, Colab and many sites mark html
 * or body.
 */
export function hostTheme(
  marked: { dataset: DOMStringMap; getAttribute(name: string): string | null }[],
): "light" | "dark" | null {
  for (const element of marked) {
    const said = element.dataset.theme ?? element.getAttribute("theme");
    if (said === "light" || said === "dark") return said;
  }
  return null;
}

export function readTheme(root: HTMLElement): Theme {
  root.dataset.host = hostTheme([document.body, document.documentElement]) ?? "";
  const style = getComputedStyle(root);
  const read = (name: string, fallback: string): string => style.getPropertyValue(name).trim() || fallback;
  const background = read("--ll-background", "#ffffff");
  const dark = brightness(background) < 128;
  root.dataset.theme = dark ? "dark" : "light";
  return {
    dark,
    background,
    text: read("--ll-text", "#1f2328"),
    muted: read("--ll-muted", "#59636e"),
    grid: dark ? "rgba(255,255,255,0.16)" : "rgba(0,0,0,0.13)",
    pane: dark ? "rgba(255,255,255,0.035)" : "rgba(0,0,0,0.028)",
    accent: read("--ll-accent", "#1976d2"),
    font: style.fontFamily || "system-ui, sans-serif",
  };
}

/** Call back when the host may have changed its theme: JupyterLab, VS Code, marimo and Colab mark html or body. */
export function watchTheme(callback: () => void, signal: AbortSignal): void {
  const observer = new MutationObserver(callback);
  const attributeFilter = [
    "data-jp-theme-light",
    "data-jp-theme-name",
    "data-theme",
    "theme",
    "class",
    "data-vscode-theme-kind",
    "style",
  ];
  for (const target of [document.documentElement, document.body])
    observer.observe(target, { attributes: true, attributeFilter });
  signal.addEventListener("abort", () => observer.disconnect());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback, { signal });
}

/** True if the person asked the system for less motion. */
export const prefersStill = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;
