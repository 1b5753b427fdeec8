host "shop.localhost" { upstream = 5173 }
