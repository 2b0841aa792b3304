import type { ComponentChildren } from "preact";

// A column by its heading; a number's stands to the right, and one that is only read out is not seen.
export type Column = string | { title: string; as: "number" | "wide" | "unseen" };

export const numbers = (...titles: string[]): Column[] => titles.map((title) => ({ title, as: "number" }));

export const ACTIONS: Column = { title: "Actions", as: "unseen" };

// A table, which scrolls in its own box where it is wider than the page; its body and foot are its children.
export function Table(props: { columns: readonly Column[]; children: ComponentChildren }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>{props.columns.map(heading)}</tr>
        </thead>
        {props.children}
      </table>
    </div>
  );
}

function heading(column: Column) {
  if (typeof column === "string") {
    return (
      <th key={column} scope="col">
        {column}
      </th>
    );
  }
  const { title, as } = column;
  return (
    <th key={title} scope="col" class={as === "unseen" ? undefined : as}>
      {as === "unseen" ? <span class="unseen">{title}</span> : title}
    </th>
  );
}
