# A Next.js app with its sign-in on a host of its own. Cookies of the domain
# app.localhost reach both; the app's pages may ask the sign-in host with
# credentials, and nobody else's may. Guessing passwords is slow.
domain = "app.localhost"

host "app.localhost" { upstream = 3000 }

host "auth.app.localhost" {
  upstream = 3001
  cors     = true

  route "/api/auth/callback" {
    upstream = 3001
    match    = { methods = ["POST"] }

    rate_limit = { rate = "5/m", burst = 5 }
  }
}
