export default {
  output: process.env.EXPORT ? 'export' : undefined,
  // Pages that only a server can answer.
  pageExtensions: process.env.EXPORT ? ['js'] : ['live.js', 'js'],
  images: { unoptimized: true },
  turbopack: { root: import.meta.dirname },
}
