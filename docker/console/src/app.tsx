import { useSignalEffect } from "@preact/signals";
import type { ComponentType } from "preact";
import { useRef } from "preact/hooks";
import { clock } from "./lib/format";
import { asOf, gateway, link, reconnect } from "./lib/live";
import { route } from "./lib/route";
import { key, signOut } from "./lib/session";
import { THEMES, type Theme, theme } from "./lib/theme";
import { newer, update } from "./lib/update";
import { SignIn } from "./pages/signin";
import { lazy } from "./ui/lazy";
import { Empty, Page, Said, State, typed } from "./ui/parts";
import { useEvery } from "./ui/resource";

const PAGES: Record<string, { title: string; page: ComponentType }> = {
  "": { title: "Dashboard", page: lazy(() => import("./pages/dashboard")) },
  nodes: { title: "Nodes", page: lazy(() => import("./pages/nodes")) },
  models: { title: "Models", page: lazy(() => import("./pages/models")) },
  autoscaling: { title: "Autoscaling", page: lazy(() => import("./pages/autoscaling")) },
  keys: { title: "Keys", page: lazy(() => import("./pages/keys")) },
  usage: { title: "Usage", page: lazy(() => import("./pages/usage")) },
  playground: { title: "Playground", page: lazy(() => import("./pages/playground")) },
};

export function App() {
  const main = useRef<HTMLElement>(null);
  const shown = useRef(route.peek());
  // Who follows a link by keyboard or by ear begins with the page that it leads to.
  useSignalEffect(() => {
    if (route.value === shown.current) return;
    shown.current = route.value;
    main.current?.focus();
    main.current?.scrollTo(0, 0);
  });
  if (key.value === null) return <SignIn />;
  const here = route.value.split("/")[0] ?? "";
  const Shown = PAGES[here]?.page ?? Missing;
  return (
    <div class="console">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <header class="bar-top">
        <a class="brand" href="#/">
          <img src="./icon.svg" alt="" width="20" height="20" />
          OllamaMax
        </a>
        <Connection />
        <label class="theme">
          <span class="unseen">Colours</span>
          <select
            value={theme.value}
            onChange={(event) => {
              theme.value = typed(event) as Theme;
            }}
          >
            {THEMES.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="quiet" onClick={() => signOut()}>
          Sign out
        </button>
      </header>
      <nav aria-label="Pages">
        {Object.entries(PAGES).map(([path, { title }]) => (
          <a key={path} href={`#/${path}`} aria-current={path === here ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be scrolled by keys too */}
      <main ref={main} id="main" tabIndex={0}>
        <Newer />
        <Shown key={here} />
      </main>
      <Said />
    </div>
  );
}

function Missing() {
  return (
    <Page title="No such page">
      <Empty>
        There is no page of this name. <a href="#/">To the dashboard</a>
      </Empty>
    </Page>
  );
}

// What the line to the platform is like, always in sight.
function Connection() {
  const now = link.value;
  const since = asOf.value;
  return (
    <div class="link" role="status">
      {now.state === "live" && <State tone="ok">Live from {gateway() ?? "…"}</State>}
      {now.state === "connecting" && <State tone="busy">Connecting</State>}
      {now.state === "waiting" && (
        <>
          <State tone="warn">{navigator.onLine ? "Not connected" : "Offline"}</State>
          {since !== null && <span class="note">as it was at {clock(since)}</span>}
          <Countdown until={now.until} />
          <button type="button" class="quiet" onClick={reconnect}>
            Now
          </button>
        </>
      )}
      {now.state === "refused" && (
        <>
          <State tone="off">No live data</State>
          <span class="note">{now.reason}</span>
        </>
      )}
    </div>
  );
}

function Countdown(props: { until: number }) {
  const now = useEvery(0.5);
  return (
    <span class="note" aria-hidden="true">
      again in {Math.max(0, Math.ceil((props.until - now) / 1000))} s
    </span>
  );
}

function Newer() {
  if (!newer.value) return null;
  return (
    <div class="newer" role="status">
      <span>There is a newer console.</span>
      <button type="button" class="primary" onClick={update}>
        Load it
      </button>
    </div>
  );
}
