/**
 * Has a browser draw charts on the gallery's page, and tells what it saw.
 *
 * Reads one JSON job from stdin and writes one JSON report to stdout.
 */
import { text } from "node:stream/consumers";
import { chromium, type Page, type Request } from "playwright-core";
import type { Drawn } from "./inspect.ts";
import type { Case } from "./main.tsx";

interface Job {
  /** Chromium's own program. */
  readonly browser: string;
  /** Every request goes through it, the page's own among them. */
  readonly proxy: string;
  readonly page: string;
  readonly cases: readonly Case[];
  readonly theme: "light" | "dark";
  /** How many are drawn at once. */
  readonly batch: number;
  /** Whether a pointer is put on each chart, to read what stands beside it then. */
  readonly point: boolean;
  /** Where a picture of the page goes; one batch only. */
  readonly picture?: string;
}

interface Report {
  readonly drawn: readonly (Drawn & { readonly tooltip: string })[];
  /** Errors and warnings of its console, and exceptions that nobody caught. */
  readonly complaints: readonly string[];
  /** Every address that was asked for. */
  readonly requests: readonly string[];
}

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const job = JSON.parse(await text(process.stdin)) as Job;
process.stdout.write(JSON.stringify(await run(job)));

async function run({ browser, proxy, ...rest }: Job): Promise<Report> {
  const launched = await chromium.launch({
    executablePath: browser,
    args: FLAGS,
    // Root has no sandbox, nor have users whose kernel gives them no namespaces.
    chromiumSandbox: false,
    // Loopback, too, goes through the proxy.
    proxy: { server: proxy, bypass: "<-loopback>" },
  });
  try {
    const page = await launched.newPage({ viewport: { width: 1264, height: 900 } });
    return await draw(page, rest);
  } finally {
    await launched.close();
  }
}

async function draw(page: Page, job: Omit<Job, "browser" | "proxy">): Promise<Report> {
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    const isBad = message.type() === "error" || message.type() === "warning";
    if (isBad) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  const open = new Set<Request>();
  page.on("request", (request) => {
    requests.push(request.url());
    open.add(request);
  });
  page.on("requestfinished", (request) => open.delete(request));
  page.on("requestfailed", (request) => open.delete(request));
  await page.goto(job.page);
  const drawn: Report["drawn"][number][] = [];
  for (let from = 0; from < job.cases.length; from += job.batch) {
    const batch = [job.cases.slice(from, from + job.batch), job.theme] as const;
    const seen = await page.evaluate(([cases, theme]) => window.draw(cases, theme), batch);
    const tooltips = job.point ? await pointed(page) : [];
    drawn.push(...seen.map((each, index) => ({ ...each, tooltip: tooltips[index] ?? "" })));
  }
  // The proxy has seen a request once it is answered.
  const patience = Date.now() + 5_000;
  while (open.size > 0 && Date.now() < patience) await page.waitForTimeout(20);
  if (job.picture) await page.screenshot({ path: job.picture, fullPage: true });
  return { drawn, complaints, requests };
}

/** What stands beside a pointer on each chart's first mark. */
async function pointed(page: Page): Promise<string[]> {
  const told: string[] = [];
  for (const chart of await page.locator(".case").all()) {
    const place = await chart.evaluate(firstMark);
    if (place) await page.mouse.move(place.x, place.y, { steps: 2 });
    const tooltip = chart.locator(".chart-tooltip");
    await tooltip.waitFor({ timeout: 2_000 }).catch(() => undefined);
    const lines = await tooltip.locator("> *").all();
    told.push((await Promise.all(lines.map((line) => line.textContent()))).join("\n"));
    await page.mouse.move(0, 0);
  }
  return told;
}

/** A place that a chart's first mark covers; of a thin one, its middle. Runs in the page. */
function firstMark(chart: Element): { x: number; y: number } | undefined {
  const marks = [...chart.querySelectorAll("[class*=chart-series-] path, [class*=chart-dot-]")];
  const mark = marks.find((each) => each.getBoundingClientRect().width > 0);
  if (!mark) return undefined;
  mark.scrollIntoView({ block: "center" });
  const box = mark.getBoundingClientRect();
  const at = (across: number, down: number) => ({
    x: box.left + box.width * across,
    y: box.top + box.height * down,
  });
  const middle = at(0.5, 0.5);
  const grid = Array.from({ length: 81 }, (_, n) => at(((n % 9) + 0.5) / 9, (n / 9 + 0.5) / 10));
  const isCovered = ({ x, y }: typeof middle) => document.elementFromPoint(x, y) === mark;
  return [middle, ...grid].find(isCovered) ?? middle;
}
