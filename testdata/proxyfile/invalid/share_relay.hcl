# Who may carry a share: a relay, a provider, or an SSH server; or a list of them.
host "shop.localhost" { upstream = 5173 }

share {
  relay = [
    "t.example.com",
    "T.example.com:443", # ERROR: a second "t.example.com"
    "cloudflar", # ERROR: "cloudflar" is no relay's domain
    "ssh://", # ERROR: "ssh://" is no URL of an SSH server
    "ssh://me:secret@vps.example.com", # ERROR: a password does not belong in a Proxyfile
    "ssh://vps.example.com/app", # ERROR: an SSH server has no path
    5173, # ERROR: relay is a string
    "", # ERROR: relay is empty
  ]
}
