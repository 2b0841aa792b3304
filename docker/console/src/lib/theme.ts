import { effect, signal } from "@preact/signals";

export const THEMES = ["system", "dark", "light"] as const;
export type Theme = (typeof THEMES)[number];

const NAME = "ollamamax.theme";

const read = (): Theme => THEMES.find((theme) => theme === localStorage.getItem(NAME)) ?? "system";

export const theme = signal<Theme>(read());

export function dress(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem(NAME, theme.value);
  });
}
