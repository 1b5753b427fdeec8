import { Form, useActionData } from 'react-router'

export async function action({ request }) {
  const form = await request.formData()
  return { name: form.get('name') }
}

export default function Home() {
  const sent = useActionData()
  return (
    <>
      <h1 id="headline">{sent ? `sent ${sent.name}` : 'before'}</h1>
      <Form method="post" id="form">
        <input name="name" defaultValue="Ann" />
        <button id="send">Send</button>
      </Form>
    </>
  )
}
