/** Which columns of a block are drawn, and as what. Pure. */
import type { Cell, ChartBlock, ChartConfig, Row } from "./block.ts";
import { paletteColor, usable } from "./style.tsx";

/** Area, bar, line, radar: x is the first key of the first row that config does not name. */
export function xKey({ data, config }: ChartBlock): string {
  return Object.keys(data[0] ?? {}).find((key) => !Object.hasOwn(config, key)) ?? "";
}

/** A value to draw; what is no number is a gap. */
export function numberAt(row: Row | undefined, key: string): number | null {
  const cell = row?.[key];
  return typeof cell === "number" && Number.isFinite(cell) ? cell : null;
}

/** Whether a value has no neighbour, so that no line leads to it. */
export function standsAlone(rows: readonly Row[], index: number, key: string): boolean {
  return numberAt(rows[index - 1], key) === null && numberAt(rows[index + 1], key) === null;
}

/** A slice of a pie, a ring of a radial chart. */
export interface Slice {
  readonly category: string;
  readonly label: string;
  readonly color: string;
  readonly value: number;
}

/** The two columns of a pie or radial chart. */
export function sliceKeys({ data, config }: ChartBlock): { category: string; value: string } {
  const keys = Object.keys(data[0] ?? {}).filter((key) => key !== "fill");
  const numeric = (key: string) => data.every((row) => typeof row[key] === "number");
  const value =
    keys.find((key) => Object.hasOwn(config, key) && numeric(key)) ?? keys.find(numeric) ?? "";
  return { category: keys.find((key) => key !== value) ?? "", value };
}

export function slices(block: ChartBlock): Slice[] {
  const { category, value } = sliceKeys(block);
  return block.data.map((row, index) => {
    const name = String(row[category] ?? "");
    return {
      category: name,
      label: block.config[name]?.label ?? name,
      color: sliceColor(row.fill, name, block.config, index),
      value: numberAt(row, value) ?? 0,
    };
  });
}

function sliceColor(fill: Cell | undefined, name: string, config: ChartConfig, index: number) {
  const named = /^var\(--color-(.+)\)$/.exec(String(fill))?.[1] ?? name;
  return (
    usable(fill) ?? (Object.hasOwn(config, named) ? `var(--color-${named})` : paletteColor(index))
  );
}
