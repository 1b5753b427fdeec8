export default {
  output: process.env.EXPORT ? 'export' : undefined,
  images: { unoptimized: true },
  turbopack: { root: import.meta.dirname },
}
