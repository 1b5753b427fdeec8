import { text } from './dom.js'

export async function hello() {
  const started = performance.now()
  try {
    const response = await fetch('/api/hello')
    if (!response.ok) throw new Error(`status ${response.status}`)
    const body = await response.json()
    text('api', body.message)
    text('api-host', body.host)
    text('api-proto', body.proto || 'http')
    text('api-took', `${Math.round(performance.now() - started)} ms`)
  } catch (error) {
    text('api', error.message)
  }
}
