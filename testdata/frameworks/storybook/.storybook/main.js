export default {
  framework: '@storybook/html-vite',
  stories: ['../src/*.stories.js'],
  core: { disableTelemetry: true, disableWhatsNewNotifications: true },
  // Without a port of its own the client connects to where the page came from.
  viteFinal(config) {
    if (config.server?.hmr) delete config.server.hmr.port
    if (config.server?.ws?.port) delete config.server.ws.port
    return config
  },
}
