host "shop.localhost" {
  upstream = 1
  request_headers = {
    A    = "{clinet}" # ERROR: unknown placeholder {clinet}
    B    = "{remote_host}" # ERROR: unknown placeholder {remote_host}
    C    = "{nothing_like_it}" # ERROR: unknown placeholder {nothing_like_it}
    D    = "{{clinet}} {} {\"a\":1}"
    E    = "$remote_addr" # WARNING: $remote_addr is not replaced: it is a variable of another program
    Host = "www.{host}" # ERROR: Host can be {host} or a name without placeholders
  }
  response_headers = { X-Request-Id = "{http.request.uuid}" } # ERROR: unknown placeholder {http.request.uuid}

  route "/a" { redirect = "/x/{pth}" } # ERROR: unknown placeholder {pth}
  route "/b" { redirect = "https://{path}.example.com/" } # ERROR: {path} comes from the client and must not be part of a host
  route "/c" { redirect = "https://{query}/" } # ERROR: {query} comes from the client and must not be part of a host
  route "/d" { redirect = "https://example.com{uri}.evil/" } # ERROR: {uri} comes from the client and must not be part of a host
  route "/e" { redirect = "{host}/x" } # ERROR: redirect must be a URL, or a path that begins with "/"
  route "/f" { redirect = "/x/{1}" } # ERROR: unknown placeholder {1}
  route "/g" { redirect = "/x$request_uri" } # ERROR: unknown placeholder $request_uri
  route "/h" {
    upstream = 2
    rewrite  = "/x{path}" # ERROR: unknown placeholder {path}
  }
}
