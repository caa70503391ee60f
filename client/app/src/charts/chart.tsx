/**
 * A chart block as a person sees it: heading, drawing, legend; and a table for those who listen.
 *
 * Load it lazily: it brings Recharts.
 */
import { type ReactElement, useId } from "react";
import type { ChartBlock, ChartType } from "./block.ts";
import { CartesianChart } from "./cartesian.tsx";
import "./charts.css";
import { slices, xKey } from "./columns.ts";
import { ChartContainer } from "./container.tsx";
import { ChartLegend, type LegendItem } from "./legend.tsx";
import { SliceChart, WebChart } from "./polar.tsx";
import { ChartTable } from "./table.tsx";
import { cellText, tickUnit } from "./words.ts";

const HEIGHT = 240;
const ROUND_HEIGHT = 272;
const SLICED: ReadonlySet<ChartType> = new Set(["pie", "radial"]);
/** One or two corners span no area: they are bars. */
const LEAST_CORNERS = 3;
/** A lying bar's name needs a line; past the greatest height names are left out. */
const LYING_ROW = 28;
const GREATEST_HEIGHT = 640;

export function Chart({ block }: { block: ChartBlock }) {
  const heading = useId();
  const { title, unit } = block;
  // A unit that stands at no tick is told once.
  const caption = tickUnit(unit) === undefined ? unit : undefined;
  return (
    <figure className="chart" aria-labelledby={title ? heading : undefined}>
      {(title || caption) && (
        <figcaption>
          <span id={heading} dir="auto">
            {title}
          </span>
          {caption && (
            <span className="chart-detail" dir="auto">
              {caption}
            </span>
          )}
        </figcaption>
      )}
      <ChartContainer
        config={block.config}
        label={summary(block)}
        height={heightOf(block)}
        legend={<ChartLegend items={legendOf(block)} />}
      >
        {drawing(block)}
      </ChartContainer>
      <ChartTable block={block} />
    </figure>
  );
}

function drawing(block: ChartBlock): ReactElement {
  switch (block.chartType) {
    case "pie":
    case "radial":
      return <SliceChart block={block} />;
    case "radar":
      return block.data.length < LEAST_CORNERS ? (
        <CartesianChart block={{ ...block, chartType: "bar" }} />
      ) : (
        <WebChart block={block} />
      );
    default:
      return <CartesianChart block={block} />;
  }
}

function heightOf({ chartType, horizontal, data }: ChartBlock): number {
  if (SLICED.has(chartType) || chartType === "radar") return ROUND_HEIGHT;
  if (chartType !== "bar" || horizontal !== true) return HEIGHT;
  return Math.min(GREATEST_HEIGHT, Math.max(120, data.length * LYING_ROW + 40));
}

/** One sentence for a screen reader; the numbers are in the table. */
function summary(block: ChartBlock): string {
  const { chartType, title, config, data } = block;
  const names = Object.values(config).map(({ label }) => label);
  const drawn = SLICED.has(chartType) ? "" : `: ${names.join(", ")} by ${xKey(block)}`;
  return `${title || "Chart"} (${chartType}${drawn}, ${data.length})`;
}

function legendOf(block: ChartBlock): LegendItem[] {
  if (SLICED.has(block.chartType)) {
    return slices(block).map(({ category, label, color, value }) => ({
      key: category,
      label,
      color,
      detail: cellText(value, block),
    }));
  }
  return Object.entries(block.config).map(([key, { label }]) => ({
    key,
    label,
    color: `var(--color-${key})`,
  }));
}
