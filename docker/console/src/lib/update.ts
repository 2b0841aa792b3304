import { signal } from "@preact/signals";

// The service worker of a newer console, once it is ready to take over.
export const newer = signal<ServiceWorker | null>(null);

// Without one the console works all the same, but not offline.
export function register(): void {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker
    .register("./sw.js")
    .then((registration) => {
      const look = (worker: ServiceWorker | null) => {
        if (!worker) return;
        const said = () => {
          // The first one of all takes nobody's place.
          if (worker.state === "installed" && navigator.serviceWorker.controller) newer.value = worker;
        };
        worker.addEventListener("statechange", said);
        said();
      };
      look(registration.waiting);
      registration.addEventListener("updatefound", () => look(registration.installing));
      setInterval(() => void registration.update().catch(() => {}), 15 * 60_000);
    })
    .catch(() => {}); // a browser that does not trust the certificate allows none
}

// Has the newer console take over.
export function update(): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
  newer.value?.postMessage("take over");
}
