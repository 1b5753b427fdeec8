host "shop.localhost" { upstream = 5173 }
share {
  password = "open sesame" # WARNING: other people can read this file and the password
  paths    = ["/shop", "/hooks/stripe"]
  public   = ["/hooks", "/shop/hook", "/hook"] # WARNING: the public path "/hook" is not among the paths of this share
}
