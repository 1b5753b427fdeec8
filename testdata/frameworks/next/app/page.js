import Image from 'next/image'
import Link from 'next/link'
import Counter from './counter'

export default function Page() {
  return (
    <main>
      <Counter />
      <Image src="/logo.svg" alt="" width={8} height={8} />
      <Link href="/about" id="about">about</Link>
    </main>
  )
}
