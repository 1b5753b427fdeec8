import { defineConfig } from 'vite'

// Nothing about devproxy: no allowedHosts, no hmr settings, no server.proxy.
export default defineConfig({
  server: {
    port: Number(process.env.PORT ?? 5173),
    strictPort: true,
  },
})
