import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env.RUNLORE_SERVER ?? "http://127.0.0.1:5000";
const proxied = ["/api", "/ajax-api", "/get-artifact", "/model-versions", "/health", "/version"];

export default defineConfig({
  plugins: [react()],
  base: "./", // the server that sends the page knows where it lives
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  build: {
    outDir: "../src/runlore/server/static",
    emptyOutDir: true,
    manifest: true,
    target: "es2022",
    assetsInlineLimit: 0, // a strict Content-Security-Policy allows no data: scripts or fonts
    chunkSizeWarningLimit: 800,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    // The server checks Origin against Host: send its own name, as a browser on its own address would.
    proxy: Object.fromEntries(
      proxied.map((path) => [path, { target: server, changeOrigin: true, headers: { origin: server } }]),
    ),
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
