/** What a chart looks like to somebody who cannot see it: its marks, and what should not be there. */
import type { Cell, ChartBlock } from "../src/charts/block.ts";

export interface Mark {
  /** Which series of the config it belongs to. */
  readonly series: number;
  readonly kind: "bar" | "line" | "area" | "sector" | "polygon" | "dot";
  /** The box that it fills, in CSS pixels. */
  readonly width: number;
  readonly height: number;
  /** Inside the drawing, and of a colour. */
  readonly seen: boolean;
}

export interface Drawn {
  /** Why nothing was drawn; null: something was. */
  readonly error: string | null;
  readonly marks: readonly Mark[];
  /** Words on axes. */
  readonly texts: readonly string[];
  /** Attributes that hold no finite number where one belongs. */
  readonly broken: readonly string[];
  /** Attributes and rules that name another place, or that a text of the data got into. */
  readonly foreign: readonly string[];
  /** Every kind of element, and every attribute of each: `path@fill`. */
  readonly vocabulary: readonly string[];
  /** Colours of the block that a client which takes them as they are could not show. */
  readonly colorless: readonly string[];
  /** Whether it needs more room than it has. */
  readonly spills: boolean;
  /** What a screen reader says in the drawing's place, and the table behind it. */
  readonly label: string;
  readonly table: readonly (readonly string[])[];
}

const KINDS: readonly (readonly [Mark["kind"], string])[] = [
  ["bar", ".recharts-bar-rectangle path"],
  ["line", ".recharts-line-curve"],
  ["area", ".recharts-area-area"],
  ["sector", ".recharts-pie-sector path, path.recharts-radial-bar-sector"],
  ["polygon", ".recharts-radar-polygon path"],
];

export function inspect(section: Element, block: ChartBlock): Drawn {
  const figure = section.querySelector("figure.chart");
  const error = section.querySelector(".chart-error")?.textContent ?? null;
  if (!figure) return { ...NOTHING, error: error ?? "no figure" };
  const elements = [figure, ...figure.querySelectorAll("*")];
  const attributes = elements.flatMap((element) =>
    [...element.attributes].map((attribute) => ({ element, attribute })),
  );
  return {
    error,
    marks: marksOf(figure),
    texts: [...figure.querySelectorAll("svg text")].map((text) => text.textContent ?? ""),
    broken: attributes.filter(isBroken).map(told),
    foreign: [...attributes.filter(isForeign).map(told), ...foreignRules(figure)],
    vocabulary: [
      ...new Set([
        ...elements.map((element) => element.localName),
        ...attributes.map(({ element, attribute }) => `${element.localName}@${attribute.name}`),
      ]),
    ],
    colorless: colorless(figure, block),
    spills: figure.scrollWidth > figure.clientWidth || figure.scrollHeight > figure.clientHeight,
    label: figure.querySelector("[role=img]")?.getAttribute("aria-label") ?? "",
    table: [...figure.querySelectorAll("tr")].map((row) =>
      [...row.children].map((cell) => cell.textContent ?? ""),
    ),
  };
}

const NOTHING: Drawn = {
  error: null,
  marks: [],
  texts: [],
  broken: [],
  foreign: [],
  vocabulary: [],
  colorless: [],
  spills: false,
  label: "",
  table: [],
};

interface Found {
  readonly element: Element;
  readonly attribute: Attr;
}

const told = ({ element, attribute }: Found) =>
  `<${element.localName} ${attribute.name}=${JSON.stringify(attribute.value.slice(0, 200))}>`;

/** Stands in texts that have no business in an attribute. */
const TELLTALE = "zq9z";

/** Words for people may hold anything, and ask for nothing. */
const WORDS = new Set(["aria-label", "title", "name"]);

function isBroken({ element, attribute }: Found): boolean {
  const isDrawn = element instanceof SVGElement && !WORDS.has(attribute.name);
  const value = attribute.value.replace(/var\(--color-[\w-]+\)/g, "");
  return isDrawn && /\b(NaN|Infinity|undefined)\b|\[object/.test(value);
}

function isForeign({ attribute }: Found): boolean {
  const isWords = WORDS.has(attribute.name) || attribute.name.startsWith("xmlns");
  return !isWords && namesAnotherPlace(attribute.value);
}

function namesAnotherPlace(text: string): boolean {
  return /url\(\s*(?!["']?#)|image-set\(|@import|:\/\//i.test(text) || text.includes(TELLTALE);
}

function foreignRules(figure: Element): string[] {
  const styles = [...figure.querySelectorAll("style")];
  return styles.map((style) => style.textContent ?? "").filter(namesAnotherPlace);
}

function marksOf(figure: Element): Mark[] {
  const layers = [...figure.querySelectorAll("g[class*=chart-series-]")];
  const shapes = layers.flatMap((layer) =>
    KINDS.flatMap(([kind, selector]) =>
      [...layer.querySelectorAll<SVGGraphicsElement>(selector)].map((shape) =>
        markOf(shape, kind, numberIn(layer, "chart-series")),
      ),
    ),
  );
  // Dots stand in a layer of their own, above all series.
  const dots = [...figure.querySelectorAll<SVGGraphicsElement>("circle[class*=chart-dot-]")];
  return [...shapes, ...dots.map((dot) => markOf(dot, "dot", numberIn(dot, "chart-dot")))];
}

function numberIn(element: Element, prefix: string): number {
  const found = new RegExp(`${prefix}-(\\d+)`).exec(element.getAttribute("class") ?? "");
  return Number(found?.[1] ?? -1);
}

function markOf(mark: SVGGraphicsElement, kind: Mark["kind"], series: number): Mark {
  const box = mark.getBoundingClientRect();
  const frame = mark.ownerSVGElement?.getBoundingClientRect() ?? box;
  const isInside =
    box.right >= frame.left &&
    box.left <= frame.right &&
    box.bottom >= frame.top &&
    box.top <= frame.bottom;
  return {
    series,
    kind,
    width: box.width,
    height: box.height,
    seen: isInside && isPainted(getComputedStyle(mark)),
  };
}

function isPainted({ fill, stroke, visibility, opacity, display }: CSSStyleDeclaration): boolean {
  const isShown = visibility === "visible" && display !== "none" && Number(opacity) > 0;
  return isShown && [fill, stroke].some((paint) => paint !== "none" && !isClear(paint));
}

function isClear(paint: string): boolean {
  return paint === "transparent" || (/(,|\/)\s*0\)$/.test(paint) && !/^rgb\(/.test(paint));
}

/** The app replaces such colours. Others do not, so the block itself is looked at, too. */
function colorless(figure: Element, { config, data }: ChartBlock): string[] {
  const given = Object.entries(config).flatMap(([key, { color, theme }]) => {
    // A variable of its own would lead back to itself.
    const others = Object.keys(config).filter((each) => each !== key);
    return [color, theme?.light, theme?.dark].filter((each) => !isKnown(each, others));
  });
  const fills = data.map((row) => row.fill).filter((each) => !isKnown(each, Object.keys(config)));
  const unset = Object.keys(config).filter((key) => !isSet(figure, `--color-${key}`));
  return [...new Set([...given, ...fills, ...unset].map(String))];
}

function isKnown(color: Cell | undefined, keys: readonly string[]): boolean {
  // A number is a value of a series that is called fill.
  if (typeof color !== "string") return true;
  const key = /^var\(--color-([\w-]+)\)$/.exec(color)?.[1];
  if (key !== undefined) return keys.includes(key);
  return /^(hsl\()?var\(--chart-[1-5]\)\)?$/.test(color) || isColor(color);
}

function isColor(color: string): boolean {
  return CSS.supports("color", color) && !color.includes("var(") && !isClear(color);
}

function isSet(figure: Element, variable: string): boolean {
  const container = figure.querySelector("[data-chart]");
  const value = container ? getComputedStyle(container).getPropertyValue(variable) : "";
  return value !== "" && CSS.supports("color", value);
}
