host "shop.localhost" { upstream = 5173 }
share {
  password = "open sesame" # WARNING: the password is in a file that others read
  paths    = ["/shop", "/hooks/stripe"]
  public   = ["/hooks", "/shop/hook", "/hook"] # WARNING: the public path "/hook" is not among the paths of this share
}
