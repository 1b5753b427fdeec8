import { headline } from './headline.js'

const show = () => (document.querySelector('#headline').textContent = headline)
show()
if (module.hot) module.hot.accept('./headline.js', show)
