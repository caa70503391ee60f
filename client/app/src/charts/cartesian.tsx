/** Area, bar and line: values over an x axis, or bars that lie beside one. */
import type { ReactElement } from "react";
import {
  Area,
  AreaChart,
  Bar,
  BarChart,
  CartesianGrid,
  Dot,
  Line,
  LineChart,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import type { ChartBlock, Row } from "./block.ts";
import { numberAt, standsAlone, xKey } from "./columns.ts";
import { TICK } from "./style.tsx";
import { ChartTooltip } from "./tooltip.tsx";
import { clip, columnsFor, short, tickUnit, withUnit, xWords } from "./words.ts";

/** Up to so many points are each marked; more would hide their line. */
const MARKED_POINTS = 30;
/** Names beside lying bars have a line of their own. */
const LYING_COLUMNS = 24;
const CURVE = "monotone";

export function CartesianChart({ block }: { block: ChartBlock }): ReactElement {
  const lies = block.chartType === "bar" && block.horizontal === true;
  const common = { data: [...block.data], accessibilityLayer: false };
  const frame = [
    <CartesianGrid key="grid" vertical={lies} horizontal={!lies} />,
    ...axes(block, lies),
    pointer(block),
  ];
  const series = Object.keys(block.config).map((key, index) => drawn(block, key, index));
  switch (block.chartType) {
    case "area":
      return <AreaChart {...common}>{[...frame, ...series]}</AreaChart>;
    case "line":
      return <LineChart {...common}>{[...frame, ...series]}</LineChart>;
    default:
      // No pixels between the bars of one place: where many stand, they would leave none for a bar.
      return (
        <BarChart {...common} layout={lies ? "vertical" : "horizontal"} barGap={0}>
          {[...frame, ...series]}
        </BarChart>
      );
  }
}

function axes(block: ChartBlock, lies: boolean): ReactElement[] {
  const x = xKey(block);
  const xText = xWords(block.data, x);
  const room = lies ? LYING_COLUMNS : columnsFor(block.data.length);
  const names = {
    type: "category",
    dataKey: x,
    tickFormatter: (cell: unknown) => clip(xText(cell), room),
    interval: "equidistantPreserveStart",
    tick: TICK,
    tickLine: false,
    tickMargin: 6,
  } as const;
  const unit = tickUnit(block.unit);
  const numbers = {
    type: "number",
    // Bars begin at zero, which Recharts leaves out where all is below it.
    domain: domainOf(block),
    tickFormatter: (value: number) => withUnit(short(value), unit),
    axisLine: false,
    tick: TICK,
    tickLine: false,
    tickMargin: 4,
  } as const;
  // Bars have room of their own beside them; a line's first and last names need some.
  const padding = block.chartType === "bar" ? 0 : 28;
  return lies
    ? [<XAxis key="x" {...numbers} />, <YAxis key="y" {...names} width="auto" />]
    : [
        <XAxis key="x" {...names} minTickGap={4} padding={{ left: padding, right: padding }} />,
        <YAxis key="y" {...numbers} width="auto" />,
      ];
}

function pointer(block: ChartBlock): ReactElement {
  const xText = xWords(block.data, xKey(block));
  return (
    <Tooltip
      key="tooltip"
      isAnimationActive={false}
      content={<ChartTooltip block={block} title={(label) => xText(label)} />}
    />
  );
}

function drawn(block: ChartBlock, key: string, index: number): ReactElement {
  const color = `var(--color-${key})`;
  const common = {
    dataKey: key,
    name: block.config[key]?.label ?? key,
    className: `chart-series chart-series-${index}`,
    isAnimationActive: false,
    ...(block.stacked && { stackId: "all" }),
  };
  // A zero is seen as a stroke on the axis; where nothing is known there is none. On a stack it
  // would lift what stands above, unless there is nothing but zeros.
  const least = block.stacked && hasHeight(block) ? 0 : 2;
  switch (block.chartType) {
    case "area":
      return (
        <Area
          key={key}
          {...common}
          type={CURVE}
          stroke={color}
          fill={color}
          fillOpacity={block.stacked ? 0.5 : 0.2}
          dot={pointDot(block.data, key, index)}
        />
      );
    case "line":
      return (
        <Line
          key={key}
          {...common}
          type={CURVE}
          stroke={color}
          strokeWidth={2}
          // The palette starts again after five: the next five are told by their dashes.
          {...(index >= 5 && { strokeDasharray: "6 3" })}
          dot={pointDot(block.data, key, index)}
        />
      );
    default:
      return (
        <Bar
          key={key}
          {...common}
          fill={color}
          maxBarSize={72}
          minPointSize={(_, at) => (numberAt(block.data[at], key) === null ? 0 : least)}
        />
      );
  }
}

function domainOf({ data, config }: ChartBlock): [0, "auto"] | ["auto", 0] {
  const keys = Object.keys(config);
  const isBelow = data.every((row) => keys.every((key) => (numberAt(row, key) ?? -1) < 0));
  return isBelow ? ["auto", 0] : [0, "auto"];
}

function hasHeight({ data, config }: ChartBlock): boolean {
  return data.some((row) => Object.keys(config).some((key) => (numberAt(row, key) ?? 0) !== 0));
}

interface DotProps {
  readonly cx?: number;
  readonly cy?: number;
  readonly index?: number;
}

/** Marks points where there are few, and always those that no line leads to. */
function pointDot(rows: readonly Row[], key: string, series: number) {
  return ({ cx, cy, index = 0 }: DotProps) => {
    const isShown =
      numberAt(rows[index], key) !== null &&
      (rows.length <= MARKED_POINTS || standsAlone(rows, index, key));
    return isShown && cx !== undefined && cy !== undefined ? (
      <Dot
        key={index}
        className={`chart-dot chart-dot-${series}`}
        cx={cx}
        cy={cy}
        r={3}
        fill={`var(--color-${key})`}
      />
    ) : (
      <g key={index} />
    );
  };
}
