import logo from './logo.svg'
import { headline } from './headline.js'

const show = () => (document.querySelector('#headline').textContent = headline)
show()
document.querySelector('#logo').src = logo
import('./lazy.js').then((lazy) => (window.lazy = lazy.default))
if (module.hot) module.hot.accept('./headline.js', show)
