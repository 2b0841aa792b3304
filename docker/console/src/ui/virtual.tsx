import { Component, type ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { moved, reveal, visible } from "../lib/virtual";

const ROW = 34; // pixels, as the style sheet has it

export interface Column {
  name: string;
  width: string; // of the grid
  number?: boolean;
  long?: boolean; // and cut where there is no room
  sort?: string;
}

interface Props<T> {
  label: string;
  columns: Column[];
  names: readonly string[]; // of all rows, in their order
  value: (name: string) => T;
  cells: (name: string, value: T) => ComponentChildren[]; // of nothing but these two
  sorted: string;
  sort: (by: string) => void;
  chosen: string | null;
  choose: (name: string) => void;
  empty: ComponentChildren;
}

// A table of any length, of which the rows that are seen are in the document. To assistive software it is whole:
// it knows how many rows there are and which ones these are. One row is in the order of the Tab key; arrows,
// Page Up and Down, Home and End lead to the others, Enter chooses.
export function VirtualTable<T>(props: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const [at, setAt] = useState(0);
  const focus = useRef(false);
  const count = props.names.length;
  const rows = visible(view.top, view.height, ROW, count);
  const current = Math.min(at, Math.max(0, count - 1));

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () =>
      setView((before) => {
        const after = { top: element.scrollTop, height: element.clientHeight };
        const same =
          after.height === before.height && Math.floor(after.top / ROW) === Math.floor(before.top / ROW);
        return same ? before : after;
      });
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);

  useLayoutEffect(() => {
    if (!focus.current) return;
    focus.current = false;
    box.current
      ?.querySelector<HTMLElement>(`[aria-rowindex="${current + 2}"]`)
      ?.focus({ preventScroll: true });
  });

  const key = (event: KeyboardEvent) => {
    const element = box.current;
    if (!element || (event.target as HTMLElement).closest("button")) return;
    if (event.key === "Enter") {
      const name = props.names[current];
      if (name !== undefined) props.choose(name);
      return;
    }
    const head = ROW;
    const height = element.clientHeight - head;
    const to = moved(event.key, current, count, Math.max(1, Math.floor(height / ROW) - 1));
    if (to === null) return;
    event.preventDefault();
    element.scrollTop = reveal(to, element.scrollTop, height, ROW);
    focus.current = true;
    setAt(to);
    setView({ top: element.scrollTop, height: element.clientHeight });
  };

  const columns = { gridTemplateColumns: widths(props.columns) };
  return (
    <div
      ref={box}
      class="virtual"
      role="grid"
      aria-label={props.label}
      aria-rowcount={count + 1}
      aria-colcount={props.columns.length}
      tabIndex={count ? -1 : 0}
      onKeyDown={key}
    >
      <div role="rowgroup" class="head">
        <div role="row" aria-rowindex={1} style={columns} tabIndex={-1}>
          {props.columns.map((column) => {
            const by = column.sort;
            return (
              <div
                key={column.name}
                role="columnheader"
                tabIndex={-1}
                class={column.number ? "number" : ""}
                aria-sort={by && props.sorted === by ? "ascending" : "none"}
              >
                {by ? (
                  <button type="button" onClick={() => props.sort(by)}>
                    {column.name}
                  </button>
                ) : (
                  column.name
                )}
              </div>
            );
          })}
        </div>
      </div>
      {count === 0 ? (
        <div role="rowgroup">
          <div role="row" class="none" tabIndex={-1}>
            <div role="gridcell" tabIndex={-1}>
              {props.empty}
            </div>
          </div>
        </div>
      ) : (
        <div role="rowgroup" class="rows" style={{ height: `${count * ROW}px` }}>
          {props.names.slice(rows.first, rows.end).map((name, offset) => {
            const index = rows.first + offset;
            return (
              <Row
                key={name}
                name={name}
                value={props.value(name)}
                cells={props.cells}
                columns={props.columns}
                index={index}
                chosen={props.chosen === name}
                current={index === current}
                choose={() => {
                  setAt(index);
                  props.choose(name);
                }}
              />
            );
          })}
        </div>
      )}
    </div>
  );
}

interface RowProps<T> {
  name: string;
  value: T;
  cells: (name: string, value: T) => ComponentChildren[];
  columns: readonly Column[];
  index: number;
  chosen: boolean;
  current: boolean;
  choose: () => void;
}

// A row is made anew only where something of it is otherwise: most messages are about rows that nobody sees.
class Row<T> extends Component<RowProps<T>> {
  override shouldComponentUpdate(next: RowProps<T>): boolean {
    const { value, index, chosen, current } = this.props;
    return value !== next.value || index !== next.index || chosen !== next.chosen || current !== next.current;
  }

  override render({ name, value, cells, columns, index, chosen, current }: RowProps<T>) {
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the grid hears the keys of all rows
      <div
        role="row"
        aria-rowindex={index + 2}
        aria-selected={chosen}
        tabIndex={current ? 0 : -1}
        style={{ gridTemplateColumns: widths(columns), top: `${index * ROW}px` }}
        onClick={() => this.props.choose()}
      >
        {cells(name, value).map((cell, column) => (
          <div key={columns[column]?.name} role="gridcell" tabIndex={-1} class={dress(columns[column])}>
            {cell}
          </div>
        ))}
      </div>
    );
  }
}

const dress = (column?: Column): string => (column?.number ? "number" : column?.long ? "cut" : "");
const widths = (columns: readonly Column[]): string => columns.map(({ width }) => width).join(" ");
