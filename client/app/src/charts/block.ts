/**
 * A chart as a `stream_block` frame brings it (docs/protocol.md, "Charts").
 *
 * The server has checked it: keys are safe, values are numbers or null, nothing but the columns
 * that are drawn is left. What it does not promise is not relied on: options that are absent or
 * unknown draw a plain chart.
 */
export type ChartType = "area" | "bar" | "line" | "pie" | "radar" | "radial";

export type Cell = string | number | boolean | null;
export type Row = Readonly<Record<string, Cell>>;

/** How one series, or one category of a pie, is named and coloured. */
export interface Series {
  readonly label: string;
  readonly color?: string;
  readonly theme?: { readonly light: string; readonly dark: string };
}

export type ChartConfig = Readonly<Record<string, Series>>;

export interface ChartBlock {
  readonly chartType: ChartType;
  readonly title: string;
  readonly data: readonly Row[];
  readonly config: ChartConfig;
  readonly stacked?: boolean;
  readonly horizontal?: boolean;
  readonly unit?: string;
}
