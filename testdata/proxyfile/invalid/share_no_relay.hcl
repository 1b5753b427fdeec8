# An empty list of relays.
host "shop.localhost" { upstream = 5173 }

share {
  relay = [] # ERROR: relay is empty
}
