/** The names of what is drawn, each beside its colour. */

export interface LegendItem {
  readonly key: string;
  readonly label: string;
  readonly color: string;
  /** Said after the label: a slice's value. */
  readonly detail?: string;
}

export function ChartLegend({ items }: { items: readonly LegendItem[] }) {
  return (
    <ul className="chart-legend">
      {items.map(({ key, label, color, detail }) => (
        <li key={key}>
          <span className="chart-swatch" style={{ background: color }} />
          <bdi title={label}>{label}</bdi>
          {detail !== undefined && <span className="chart-detail">{detail}</span>}
        </li>
      ))}
    </ul>
  );
}
