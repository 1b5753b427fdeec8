import settings from './urls.json'
import { hot } from './hot.js'

// The app knows only its local address.
const api = 'https://shop.localhost/api'
const state = JSON.parse(document.querySelector('#state').textContent)
// What is in Base64 stays. The name is in two parts, since a whole one is replaced.
const encoded = atob('aHR0cHM6Ly9zaG9wLmxvY2FsaG9zdC8=') === 'https://shop' + '.localhost/'

window.facts = {
  script: api, encoded,
  inline: window.inline,
  json: settings.api,
  state: state.api,
  query: decodeURIComponent(state.next.split('back=')[1]),
  canonical: document.querySelector('link[rel=canonical]').href,
  style: getComputedStyle(document.querySelector('#styled')).backgroundImage.slice('url("'.length),
  started: hot,
}

const button = document.querySelector('#count')
button.onclick = () => (button.textContent = Number(button.textContent) + 1)

// The source map in the script is complete.
fetch('https://shop.localhost/src/urls.js')
  .then((response) => response.text())
  .then((text) => {
    const [, map] = text.match(/sourceMappingURL=data:application\/json;base64,([^\s]+)$/) ?? []
    window.facts.map = !map || JSON.parse(atob(map)).version === 3
  })

if (import.meta.hot) import.meta.hot.accept('./hot.js', (m) => (window.facts.hot = m.hot === location.origin + '/after'))
