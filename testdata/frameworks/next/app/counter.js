'use client'

import { useState } from 'react'
import { headline } from './headline'

export default function Counter() {
  const [count, setCount] = useState(0)
  return (
    <>
      <h1 id="headline">{headline}</h1>
      <button id="count" onClick={() => setCount(count + 1)}>{count}</button>
    </>
  )
}
