import { Suspense } from 'react'
import { headers } from 'next/headers'
import Link from 'next/link'
import Facts from './facts'
import { long } from './long'

// The app knows only the address that it is requested at, which is local.
const local = async () => `https://${(await headers()).get('host')}`

export async function generateMetadata() {
  return { metadataBase: new URL(await local()), icons: 'data:,', alternates: { canonical: '/urls' }, openGraph: { images: ['/logo.svg'] } }
}

async function Late() {
  const origin = await local()
  await new Promise((done) => setTimeout(done, 100))
  return <div id="late" dangerouslySetInnerHTML={{ __html: long(origin) }} />
}

async function act(url) {
  'use server'
  return { url, same: url === (await local()) + '/urls', text: long(await local()) }
}

export default async function Page({ searchParams }) {
  const origin = await local()
  const { again } = await searchParams
  return (
    <main>
      <h1 id="headline">urls</h1>
      <img src={`${origin}/logo.svg`} alt="" />
      <a href={`${origin}/about`}>about</a>
      <Link href="/urls?again=1" id="again" prefetch={false}>again</Link>
      <div id="long" dangerouslySetInnerHTML={{ __html: long(origin) }} />
      <Facts again={again} url={`${origin}/api`} text={long(origin)} dollar={'$' + long(origin)} bytes={new TextEncoder().encode(origin)} act={act} />
      <Suspense fallback={<p>late</p>}>
        <Late />
      </Suspense>
    </main>
  )
}
