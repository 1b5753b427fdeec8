export default defineNuxtConfig({
  compatibilityDate: '2025-07-15',
  devtools: { enabled: true },
  telemetry: false,
  runtimeConfig: { public: { api: 'https://shop.localhost/api' } },
})
