# A share is carried by a relay, a provider or an SSH server, or by one of a list.
host "shop.localhost" { upstream = 5173 }

share {
  relay = [
    "t.example.com",
    "T.example.com:443", # ERROR: duplicate "t.example.com"
    "cloudflar", # ERROR: "cloudflar" is not the domain of a relay
    "ssh://", # ERROR: "ssh://" is not the URL of an SSH server
    "ssh://me:secret@vps.example.com", # ERROR: a Proxyfile must not contain the password of a server
    "ssh://vps.example.com/app", # ERROR: the URL of an SSH server can't have a path
    5173, # ERROR: relay must be a string
    "", # ERROR: relay is empty
  ]
}
