/** Radar, pie and radial: values around a centre. */
import type { ReactElement } from "react";
import {
  Pie,
  PieChart,
  PolarAngleAxis,
  PolarGrid,
  PolarRadiusAxis,
  Radar,
  RadarChart,
  RadialBar,
  RadialBarChart,
  Tooltip,
} from "recharts";
import type { ChartBlock } from "./block.ts";
import { sliceKeys, slices, xKey } from "./columns.ts";
import { TICK } from "./style.tsx";
import { ChartTooltip } from "./tooltip.tsx";
import { clip, short, tickUnit, withUnit, xWords } from "./words.ts";

/** Degrees that a small slice gets to be seen; where there are many, there is no room for that. */
const LEAST_ANGLE = 2;
const FEW_SLICES = 60;
/** Up to so many corners are named; more names would lie on one another. */
const NAMED_CORNERS = 24;

/** Three rows or more. */
export function WebChart({ block }: { block: ChartBlock }): ReactElement {
  const x = xKey(block);
  const xText = xWords(block.data, x);
  const unit = tickUnit(block.unit);
  return (
    <RadarChart data={[...block.data]} accessibilityLayer={false} outerRadius="76%">
      <PolarGrid />
      <PolarAngleAxis
        dataKey={x}
        tick={block.data.length <= NAMED_CORNERS && TICK}
        tickFormatter={(cell: unknown) => clip(xText(cell), 16)}
      />
      <PolarRadiusAxis
        // Between the first two spokes, clear of their names.
        angle={90 - 180 / block.data.length}
        axisLine={false}
        tick={TICK}
        stroke="none"
        tickCount={4}
        tickFormatter={(value: number) => withUnit(short(value), unit)}
      />
      <Tooltip
        isAnimationActive={false}
        content={<ChartTooltip block={block} title={(label) => xText(label)} />}
      />
      {Object.entries(block.config).map(([key, { label }], index) => (
        <Radar
          key={key}
          dataKey={key}
          name={label}
          className={`chart-series chart-series-${index}`}
          isAnimationActive={false}
          stroke={`var(--color-${key})`}
          strokeWidth={2}
          fill={`var(--color-${key})`}
          fillOpacity={0.15}
          // Gaps may leave a corner alone: only its dot tells where it is.
          dot={{ className: `chart-dot chart-dot-${index}`, r: 3, fillOpacity: 1 }}
        />
      ))}
    </RadarChart>
  );
}

export function SliceChart({ block }: { block: ChartBlock }): ReactElement {
  const { category, value } = sliceKeys(block);
  const drawn = slices(block);
  const data = block.data.map((row, index) => ({ ...row, fill: drawn[index]?.color ?? "" }));
  const nonZero = drawn.filter((slice) => slice.value > 0).length;
  const label = block.config[value]?.label ?? value;
  const least = data.length <= FEW_SLICES ? LEAST_ANGLE : 0;
  const tooltip = (
    <Tooltip
      isAnimationActive={false}
      content={
        <ChartTooltip block={block} title={(_, { payload }) => String(payload?.[category] ?? "")} />
      }
    />
  );
  if (block.chartType === "pie") {
    return (
      <PieChart accessibilityLayer={false}>
        {tooltip}
        <Pie
          data={data}
          dataKey={value}
          nameKey={category}
          className="chart-series chart-series-0"
          isAnimationActive={false}
          outerRadius="95%"
          // From the top, clockwise.
          startAngle={90}
          endAngle={-270}
          minAngle={least}
          stroke="var(--chart-ground)"
          // Between slices, not through the only one.
          strokeWidth={drawn.length > FEW_SLICES || nonZero < 2 ? 0 : 1.5}
        />
      </PieChart>
    );
  }
  return (
    <RadialBarChart
      data={data}
      accessibilityLayer={false}
      innerRadius="22%"
      outerRadius="100%"
      startAngle={90}
      endAngle={-180}
    >
      <PolarAngleAxis type="number" tick={false} axisLine={false} />
      <PolarRadiusAxis type="category" dataKey={category} tick={false} axisLine={false} />
      {tooltip}
      <RadialBar
        dataKey={value}
        name={label}
        className="chart-series chart-series-0"
        isAnimationActive={false}
        background={{ fill: "var(--chart-track)" }}
        minAngle={least}
        maxBarSize={24}
      />
    </RadialBarChart>
  );
}
