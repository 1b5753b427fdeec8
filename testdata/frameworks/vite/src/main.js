import ms from 'ms'
import logo from './logo.svg'
import raw from './terms.txt?raw'
import { headline } from './headline.js'

const show = (text) => (document.querySelector('#headline').textContent = text)
show(headline)
document.querySelector('#logo').src = logo
window.facts = { day: ms('1d'), terms: raw.trim() }
import('./lazy.js').then((lazy) => (window.facts.lazy = lazy.default))
window.worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
window.worker.onmessage = (e) => (window.facts.worker = e.data)
if (import.meta.hot) import.meta.hot.accept('./headline.js', (m) => show(m.headline))
