'use client'

import { useEffect, useState } from 'react'
import { long } from './long'

export default function Facts({ again, url, text, dollar, bytes, act }) {
  const [count, setCount] = useState(0)
  useEffect(() => {
    const want = long(location.origin)
    window.facts = {
      again, url, text: text === want, dollar: dollar === '$' + want,
      // Bytes stay. The name is in two parts, since a whole one is replaced here too.
      bytes: new TextDecoder().decode(bytes).includes('shop' + '.localhost'),
    }
    act(location.origin + '/urls').then((got) => {
      window.facts.acted = got.same && got.url === location.origin + '/urls' && got.text === want
    })
  }, [again, url, text, dollar, bytes, act])
  return <button id="count" onClick={() => setCount(count + 1)}>{count}</button>
}
