# Webhooks that arrive through a share: only the paths of the hooks exist
# outside, without the secret, from the sender's addresses and this machine, and
# only small requests. The rest of the app is not shared.
host "pay.localhost" {
  upstream = 3000

  route "/hooks/stripe" {
    match      = { methods = ["POST"] }
    allow      = ["127.0.0.1", "::1", "3.18.12.63", "54.187.205.0/24"]
    max_body   = "256kB"
    rate_limit = "20/s"
  }
  route "/hooks/github" {
    match    = { methods = ["POST"], headers = { X-Github-Event = "*" } }
    upstream = 3001
    max_body = "25MB"
  }
  route "/hooks" { respond = { status = 405, body = "POST only\n", headers = { Allow = "POST" } } }
}

share {
  relay  = "t.example.com"
  paths  = ["/hooks"]
  public = ["/hooks/stripe", "/hooks/github"]
}
