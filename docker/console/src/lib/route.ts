import { signal } from "@preact/signals";

// Where the reader is: what stands behind the # of the address, so that the pages can be files anywhere.
const read = (): string => location.hash.replace(/^#\/?/, "");

export const route = signal(read());
addEventListener("hashchange", () => {
  route.value = read();
});
