/** Numbers, dates and names as people read them on an axis, in a legend, in a tooltip. Pure. */
import type { Cell, ChartBlock, Row } from "./block.ts";

const COMPACT = new Intl.NumberFormat(undefined, {
  notation: "compact",
  maximumSignificantDigits: 4,
});
const PLAIN = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 15 });
const SCIENTIFIC = new Intl.NumberFormat(undefined, {
  notation: "scientific",
  maximumSignificantDigits: 4,
});

/** Beyond these, digits say less than a power of ten. */
const TINY = 1e-6;
const HUGE = 1e15;

/** A unit of up to so many characters stands at every tick; a longer one only in its caption. */
const SHORT_UNIT = 3;

/** A number for an axis: short. */
export function short(value: number): string {
  return isExtreme(value) ? SCIENTIFIC.format(value) : COMPACT.format(value);
}

/** A number to be read exactly. */
export function exact(value: number): string {
  return isExtreme(value) ? SCIENTIFIC.format(value) : PLAIN.format(value);
}

function isExtreme(value: number): boolean {
  const size = Math.abs(value);
  return size !== 0 && (size < TINY || size >= HUGE);
}

/** Currencies stand before the number, `%` and `°` close behind it, words after a space. */
export function withUnit(number: string, unit: string | undefined): string {
  if (!unit) return number;
  if (/^\p{Sc}$/u.test(unit))
    return number.startsWith("-") ? `-${unit}${number.slice(1)}` : unit + number;
  return /^[%‰°'"]/.test(unit) ? number + unit : `${number}\u202f${unit}`;
}

export function tickUnit(unit: string | undefined): string | undefined {
  return unit !== undefined && [...unit].length <= SHORT_UNIT ? unit : undefined;
}

/** What a cell says to a person, with the chart's unit. */
export function cellText(cell: Cell | undefined, { unit }: ChartBlock): string {
  if (typeof cell === "number") return withUnit(exact(cell), unit);
  return cell === null || cell === undefined ? "–" : String(cell);
}

// The x axis.

const DAY = /^\d{4}-\d{2}-\d{2}$/;
/** Numbers in here are taken for milliseconds: 1990 to 2100. No count of tasks is so large. */
const FIRST_MS = 631_152_000_000;
const LAST_MS = 4_102_444_800_000;

/** How the x values of a chart are written: days where all of them are days. */
export function xWords(rows: readonly Row[], key: string): (cell: unknown) => string {
  const cells = rows.map((row) => row[key]);
  if (cells.every((cell) => typeof cell === "string" && isDay(cell)))
    return dayFormat(cells, "UTC");
  if (cells.every((cell) => typeof cell === "number" && FIRST_MS <= cell && cell <= LAST_MS)) {
    return dayFormat(cells, undefined);
  }
  return (cell) => String(cell ?? "");
}

function isDay(cell: string): boolean {
  return DAY.test(cell) && !Number.isNaN(Date.parse(cell));
}

/** The year is told where there are several. */
function dayFormat(cells: readonly unknown[], timeZone: string | undefined) {
  const dates = cells.map((cell) => new Date(cell as string | number));
  const years = new Set(dates.map((date) => date.getUTCFullYear()));
  const format = new Intl.DateTimeFormat(undefined, {
    month: "short",
    day: "numeric",
    ...(years.size > 1 && { year: "2-digit" }),
    ...(timeZone && { timeZone }),
  });
  return (cell: unknown) => {
    const date = new Date(cell as string | number);
    return Number.isNaN(date.getTime()) ? String(cell ?? "") : format.format(date);
  };
}

// Names.

const SEGMENTS = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;

/** At most so many columns of text, as a fixed-width screen counts them; cut between characters. */
export function clip(text: string, columns: number): string {
  // A text that long is cut in any script, and need not be read to its end.
  const line = text
    .slice(0, columns * 8)
    .replace(/\s+/g, " ")
    .trim();
  let width = 0;
  for (const { segment, index } of SEGMENTS.segment(line)) {
    width += WIDE.test(segment) ? 2 : 1;
    if (width > columns) return `${line.slice(0, index).trimEnd()}…`;
  }
  return line.length < text.trim().length && text.length > columns * 8 ? `${line}…` : line;
}

/** Of more names than that some are left out, which makes room for the others. */
const ALL_NAMES = 12;

/** How much of each name has room when so many stand side by side on an axis. */
export function columnsFor(count: number): number {
  return count > ALL_NAMES ? ALL_NAMES : Math.min(24, Math.max(7, Math.floor(72 / count)));
}
