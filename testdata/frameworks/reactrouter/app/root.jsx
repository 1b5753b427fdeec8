import { Links, Meta, Outlet, Scripts } from 'react-router'

export default function Root() {
  return (
    <html>
      <head>
        <title>shop</title>
        <link rel="icon" href="data:," />
        <Meta />
        <Links />
      </head>
      <body>
        <Outlet />
        <Scripts />
      </body>
    </html>
  )
}
