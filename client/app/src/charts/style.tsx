/** Colours of a chart's config as CSS variables: `--color-KEY`, for each theme. */
import type { ChartConfig, Series } from "./block.ts";

/** The selectors under which each theme's colours hold. */
const THEMES = { light: "", dark: ".dark " } as const;
type Theme = keyof typeof THEMES;

/** The theme's tokens are `--chart-1` to `--chart-5`. */
const PALETTE = 5;

/** The words on an axis. Recharts writes its own colour where none is given. */
export const TICK = { fill: "var(--ink-muted)", fontSize: 11 } as const;

export function paletteColor(index: number): string {
  return `var(--chart-${(index % PALETTE) + 1})`;
}

/** A style tag that holds for the chart with this id, and for nothing else on the page. */
export function ChartStyle({ id, config }: { id: string; config: ChartConfig }) {
  return <style>{chartCss(id, config)}</style>;
}

export function chartCss(id: string, config: ChartConfig): string {
  const rules = (Object.keys(THEMES) as Theme[]).map(
    (theme) => `${THEMES[theme]}[data-chart="${id}"] {\n${variables(config, theme)}\n}`,
  );
  return rules.join("\n");
}

function variables(config: ChartConfig, theme: Theme): string {
  const lines = Object.entries(config).map(
    ([key, series], index) => `  --color-${key}: ${colorOf(series, theme) ?? paletteColor(index)};`,
  );
  return lines.join("\n");
}

function colorOf({ color, theme: themes }: Series, theme: Theme): string | undefined {
  return usable(themes?.[theme] ?? color);
}

/** The theme's tokens are whole colours; in other apps they are HSL triples. */
const TOKEN = /^(?:hsl\()?var\(--chart-(\d+)\)\)?$/;
const CLEAR = /^transparent$|\/\s*0(\.0*)?%?\s*\)$|^\w+\(([^,]*,){3}\s*0(\.0*)?%?\s*\)$/i;

/** A colour that can be seen; undefined: not what was given. */
export function usable(color: unknown): string | undefined {
  if (typeof color !== "string" || CLEAR.test(color)) return undefined;
  const token = TOKEN.exec(color);
  if (token) return paletteColor(Number(token[1]) - 1);
  // A variable may be nowhere, or lead back to itself.
  return CSS.supports("color", color) && !color.includes("var(") ? color : undefined;
}
