import { useEffect, useState } from 'preact/hooks'

export default function Facts({ url, list, at }) {
  const [count, setCount] = useState(0)
  useEffect(() => {
    window.facts = {
      ...window.facts, url, list: list[1].url, at: at.get('url'),
      link: document.querySelector('#link').href,
    }
  }, [])
  return (
    <>
      <a id="link" href={url}>{url}</a>
      <button id="count" onClick={() => setCount(count + 1)}>{count}</button>
    </>
  )
}
