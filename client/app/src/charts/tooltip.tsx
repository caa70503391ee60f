/** What stands beside the pointer: where it is, and each series' value there. */
import type { ReactNode } from "react";
import type { ChartBlock, Row } from "./block.ts";
import { cellText } from "./words.ts";

interface Item {
  readonly dataKey?: unknown;
  readonly name?: unknown;
  readonly color?: string | undefined;
  readonly payload?: Row;
}

interface Props {
  readonly block: ChartBlock;
  /** How the place is called. */
  readonly title: (label: unknown, item: Item) => string;
  // Recharts fills these in.
  readonly active?: boolean;
  readonly label?: unknown;
  readonly payload?: readonly Item[];
}

export function ChartTooltip({ block, title, active, label, payload }: Props): ReactNode {
  const first = payload?.[0];
  if (!active || !first) return null;
  return (
    <div className="chart-tooltip">
      <div className="chart-tooltip-title" dir="auto">
        {title(label, first)}
      </div>
      {payload.map((item) => (
        <div className="chart-tooltip-item" key={String(item.dataKey)}>
          <span className="chart-swatch" style={{ background: item.color }} />
          <bdi>{String(item.name ?? "")}</bdi>
          <b>{cellText(item.payload?.[String(item.dataKey)], block)}</b>
        </div>
      ))}
    </div>
  );
}
