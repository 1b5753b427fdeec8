host "a.localhost" {
  upstream = 1

  route "/data/*" { upstream = 2 } # WARNING: route "/data/*" does not match "/data"
  route "/one/*" {
    upstream = 3
    exact    = true
  }
  route "/two/*" { upstream = 4 }
  route "/two" { upstream = 5 }
}

host "b.localhost" {
  route "/*" { upstream = 6 } # WARNING: route "/*" does not match "/"
}

host "c.localhost" {
  upstream = 7
  route "/*" { upstream = 8 }
}

host "d.localhost" {
  upstream = 9
  route "/users/:id/posts/{post}" { upstream = 10 } # WARNING: route "/users/:id/posts/{post}" matches ":id" literally
  route "/a/[slug]" { upstream = 11 }
  route "/b/<int:id>" { upstream = 12 } # WARNING: route "/b/<int:id>" matches "<int:id>" literally
  route "/v1/messages:send" { upstream = 13 }
  route "/@user/:8080" { upstream = 14 }
}
