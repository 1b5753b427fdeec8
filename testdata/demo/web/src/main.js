import { message } from './message.js'
import { hello } from './hello.js'
import { events } from './events.js'
import { socket } from './socket.js'
import { byId, text } from './dom.js'

// How often this tab has loaded the page: hot replacement leaves it alone.
const loads = Number(sessionStorage.getItem('loads') ?? 0) + 1
sessionStorage.setItem('loads', String(loads))
window.__loads = loads
document.documentElement.dataset.loadedAt = new Date().toISOString()
text('loads', loads)

text('origin', location.origin)
byId('origin').parentElement.dataset.secure = String(location.protocol === 'https:')
text('message', message)

let count = 0
byId('counter-add').addEventListener('click', () => text('counter', ++count))

hello()
events()
socket()

// import.meta.hot is Vite's; a browser alone has none.
if (import.meta.hot) {
  text('mode', 'Served by Vite. Edit web/src/message.js: the headline changes without a reload.')
  import.meta.hot.accept('./message.js', (next) => text('message', next.message))
} else {
  text('mode', 'Served from files, without Vite: a reload shows an edit.')
}
