// Keeps the console's own files, so that it opens without the platform. What the platform says is kept by the pages.
const worker = self as unknown as ServiceWorkerGlobalScope;

// The build puts a list in the place of one, and a name in the place of the other.
const FILES = "__FILES__" as unknown as string[];
const RELEASE = "__RELEASE__";
const PAGE = "./";
const PREFIX = "ollamamax-console-";
const NAME = PREFIX + RELEASE;

worker.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(NAME)
      .then((cache) =>
        cache.addAll([PAGE, "./icon.svg", "./console.webmanifest", ...FILES.map((file) => `./${file}`)]),
      ),
  );
});

worker.addEventListener("activate", (event) => {
  const old = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
    }
    await worker.clients.claim();
  };
  event.waitUntil(old());
});

worker.addEventListener("message", (event) => {
  if (event.data === "take over") void worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || !request.url.startsWith(worker.registration.scope)) return;
  const wanted = request.mode === "navigate" ? PAGE : request;
  // A page and its files are of one release: what is kept comes first.
  const answer = async () => {
    const kept = await (await caches.open(NAME)).match(wanted, { ignoreSearch: request.mode === "navigate" });
    return kept ?? fetch(request);
  };
  if (
    request.mode === "navigate" ||
    url.pathname.includes("/assets/") ||
    /\.(svg|webmanifest)$/.test(url.pathname)
  ) {
    event.respondWith(answer());
  }
});
