# A share block publishes nothing by itself. So a password that only people who
# share have set is not a mistake.
host "shop.localhost" {
  upstream = 5173
  share    = true
}

share {
  relay    = "share.localhost:8444"
  hosts    = null
  password = env("NOT_SET_HERE")
  public   = []

  rewrite_body = true
}
