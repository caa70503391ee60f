import { defineConfig } from "vite";

// `--mode development` brings React's own complaints; it draws half as fast.
export default defineConfig(({ mode }) => ({
  define: { "process.env.NODE_ENV": JSON.stringify(mode) },
  root: import.meta.dirname,
  base: "./",
  logLevel: "warn",
  build: { outDir: "../../../build/gallery", emptyOutDir: true, minify: false },
}));
