module.exports = {
  mode: 'development',
  entry: './src/index.js',
  output: { clean: true },
  module: { rules: [{ test: /\.svg$/, type: 'asset/resource' }] },
  devServer: {
    host: '127.0.0.1',
    static: 'public',
  },
}
