/** The numbers of a chart as a table, for a screen reader. */
import type { ReactNode } from "react";
import type { ChartBlock } from "./block.ts";
import { sliceKeys, slices, xKey } from "./columns.ts";
import { cellText, xWords } from "./words.ts";

export function ChartTable({ block }: { block: ChartBlock }) {
  return block.chartType === "pie" || block.chartType === "radial" ? (
    <SliceTable block={block} />
  ) : (
    <SeriesTable block={block} />
  );
}

function SeriesTable({ block }: { block: ChartBlock }) {
  const x = xKey(block);
  const xText = xWords(block.data, x);
  const series = Object.entries(block.config);
  return (
    <Table block={block} headers={["", ...series.map(([, { label }]) => label)]}>
      {block.data.map((row, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows have no id, and never move
        <tr key={index}>
          <th scope="row">{xText(row[x])}</th>
          {series.map(([key]) => (
            <td key={key}>{cellText(row[key], block)}</td>
          ))}
        </tr>
      ))}
    </Table>
  );
}

function SliceTable({ block }: { block: ChartBlock }) {
  const { value } = sliceKeys(block);
  return (
    <Table block={block} headers={["", block.config[value]?.label ?? value]}>
      {slices(block).map((slice) => (
        <tr key={slice.category}>
          <th scope="row">{slice.label}</th>
          <td>{cellText(slice.value, block)}</td>
        </tr>
      ))}
    </Table>
  );
}

interface TableProps {
  readonly block: ChartBlock;
  readonly headers: readonly string[];
  readonly children: ReactNode;
}

function Table({ block, headers, children }: TableProps) {
  return (
    // A table takes the room of its cells, whatever size it is given: a box cuts it off.
    <div className="visually-hidden">
      <table>
        <caption>{block.title}</caption>
        <thead>
          <tr>
            {headers.map((header, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: headers may be alike, and never move
              <th key={index} scope="col">
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
