import { byId, state, text } from './dom.js'

const LINES = 4 // kept in sight
let opened = 0

export function socket() {
  const ws = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/api/ws`)
  state('ws-state', 'connecting')

  ws.onopen = () => {
    state('ws-state', 'open')
    text('ws-opened', ++opened)
    ws.send('hello, echo')
  }
  ws.onmessage = (event) => line(event.data)
  ws.onclose = () => {
    state('ws-state', 'closed')
    setTimeout(socket, 1000)
  }
  byId('ws-form').onsubmit = (event) => {
    event.preventDefault()
    const input = byId('ws-input')
    if (input.value === '' || ws.readyState !== WebSocket.OPEN) return
    ws.send(input.value)
    input.value = ''
  }
}

function line(message) {
  const item = document.createElement('li')
  item.textContent = message
  const log = byId('ws-log')
  log.append(item)
  while (log.children.length > LINES) log.firstElementChild.remove()
}
