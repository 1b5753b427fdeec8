# A share block publishes nothing by itself, so that a password which only
# those who share have set is no mistake.
host "shop.localhost" {
  upstream = 5173
  share    = true
}

share {
  relay    = "share.localhost:8444"
  hosts    = null
  password = env("NOT_SET_HERE")
  public   = []
}
