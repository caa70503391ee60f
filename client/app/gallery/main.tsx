/** A page that draws what it is handed and tells what came of it. Driven by drive.ts. */
import { Component, type ReactNode } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import type { ChartBlock } from "../src/charts/block.ts";
import { Chart } from "../src/charts/chart.tsx";
import "../src/tokens.css";
import "./gallery.css";
import { type Drawn, inspect } from "./inspect.ts";

export interface Case {
  readonly name: string;
  readonly block: ChartBlock;
}

declare global {
  interface Window {
    /** Draws the cases in place of what stands there. */
    draw: (cases: readonly Case[], theme: "light" | "dark") => Promise<Drawn[]>;
  }
}

class Boundary extends Component<{ children: ReactNode }, { error: string | null }> {
  override state = { error: null };
  static getDerivedStateFromError(error: unknown) {
    return { error: String(error) };
  }
  override render() {
    return this.state.error === null ? (
      this.props.children
    ) : (
      <p className="chart-error">{this.state.error}</p>
    );
  }
}

const place = document.getElementById("gallery") as HTMLElement;
let root = createRoot(place);

window.draw = async (cases, theme) => {
  document.documentElement.className = theme;
  root.unmount();
  root = createRoot(place);
  flushSync(() =>
    root.render(
      cases.map(({ name, block }) => (
        <section className="case" key={name}>
          <small>{name}</small>
          <Boundary>
            <Chart block={block} />
          </Boundary>
        </section>
      )),
    ),
  );
  await stillness();
  const sections = [...document.querySelectorAll(".case")];
  return cases.map(({ block }, index) => inspect(sections[index] as Element, block));
};

/** Until nothing on the page has changed for some frames: charts draw themselves in steps. */
async function stillness(): Promise<void> {
  let quiet = 0;
  const observer = new MutationObserver(() => {
    quiet = 0;
  });
  observer.observe(place, { subtree: true, childList: true, attributes: true });
  while (quiet < 4) {
    await new Promise(requestAnimationFrame);
    quiet += 1;
  }
  observer.disconnect();
}
