/** The box that a chart is drawn in: its colours, its size, its name for those who cannot see it. */
import { type ReactElement, useId } from "react";
import { ResponsiveContainer } from "recharts";
import type { ChartConfig } from "./block.ts";
import { ChartStyle } from "./style.tsx";

interface Props {
  readonly config: ChartConfig;
  /** What is drawn, in words. */
  readonly label: string;
  /** In CSS pixels; the width is the column's. */
  readonly height: number;
  /** Shown below the drawing, in the same colours. */
  readonly legend?: ReactElement;
  /** One of Recharts' charts. */
  readonly children: ReactElement;
}

export function ChartContainer({ config, label, height, legend, children }: Props) {
  // React's ids hold characters that a selector would have to escape.
  const id = `chart-${useId().replace(/\W/g, "")}`;
  return (
    <div data-chart={id} className="chart-container">
      <ChartStyle id={id} config={config} />
      <div role="img" aria-label={label} className="chart-drawing" style={{ height }}>
        <ResponsiveContainer width="100%" height="100%">
          {children}
        </ResponsiveContainer>
      </div>
      {legend}
    </div>
  );
}
