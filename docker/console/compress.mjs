// Compresses what has been built, once and as far as it goes: the edge serves these files as they are.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const WORTH = 200; // bytes: of less the headers are the larger part

for (const entry of readdirSync("dist", { recursive: true })) {
  const file = join("dist", String(entry));
  if (!/\.(html|js|css|svg|webmanifest)$/.test(file) || statSync(file).size < WORTH) continue;
  const content = readFileSync(file);
  const quality = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
  };
  writeFileSync(`${file}.br`, brotliCompressSync(content, { params: quality }));
  writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
}
