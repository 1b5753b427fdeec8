import { byId, state, text } from './dom.js'

const POINTS = 40 // in the chart of the gaps between events

export function events() {
  const source = new EventSource('/api/events')
  const gaps = []
  let last = 0
  let lastAt = 0
  let count = 0
  let lost = 0

  state('events-state', 'connecting')
  source.onopen = () => state('events-state', 'open')
  source.onerror = () => state('events-state', source.readyState === EventSource.CLOSED ? 'closed' : 'connecting')
  source.onmessage = (event) => {
    const id = Number(event.lastEventId)
    if (last > 0 && id !== last + 1) lost += Math.abs(id - last - 1) || 1
    last = id
    text('event-last', id)
    text('event-count', ++count)
    text('event-lost', lost)

    const now = performance.now()
    if (lastAt > 0) {
      gaps.push(now - lastAt)
      if (gaps.length > POINTS) gaps.shift()
      text('event-gap', Math.round(now - lastAt))
      draw(gaps)
    }
    lastAt = now
  }
}

function draw(gaps) {
  const top = Math.max(400, ...gaps)
  const points = gaps.map((gap, i) => `${(120 * i) / (POINTS - 1)},${26 - (24 * gap) / top}`)
  byId('events-chart').firstElementChild.setAttribute('points', points.join(' '))
}
