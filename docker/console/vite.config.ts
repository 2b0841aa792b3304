import { createHash } from "node:crypto";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// The service worker is told which files make up this release, and a name that hangs on what is in them: another
// release is another service worker, by which browsers see that there is one.
const shell: Plugin = {
  name: "shell",
  enforce: "post", // once style sheets and the page are there
  generateBundle(_, bundle) {
    const files = Object.keys(bundle).filter((file) => file.startsWith("assets/"));
    const page = bundle["index.html"];
    const worker = bundle["sw.js"];
    if (page?.type !== "asset" || worker?.type !== "chunk")
      throw new Error("page or service worker is missing");
    const release = createHash("sha256").update(`${files.sort()} ${page.source}`).digest("hex").slice(0, 12);
    worker.code = worker.code
      .replace(/["'`]__FILES__["'`]/, () => JSON.stringify(files))
      .replace("__RELEASE__", release);
  },
};

export default defineConfig({
  // The console stands at /console/ of a stack's edge and at / of a host name of its own.
  base: "./",
  plugins: [shell],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // data: addresses would have to be allowed by the pages' policy
    cssCodeSplit: false,
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  test: { include: ["test/**/*.test.ts"] },
});
