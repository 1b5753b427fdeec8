import { headline } from './headline.js'

export default {
  title: 'Button',
  args: { label: 'Buy' },
  render: ({ label }) => `<h1 id="headline">${headline}</h1><button>${label}</button>`,
}

export const Primary = {}
export const Other = { args: { label: 'Sell' } }
