# A Next.js app with its sign-in on a separate host. Cookies of the domain
# app.localhost reach both. Only the app's pages may send requests with
# credentials to the sign-in host. Guessing passwords is slow.
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
