host "a.localhost" {} # ERROR: host "a.localhost" has no upstream, files, redirect or respond
host "b.localhost" {
  upstream = 1
  respond  = 204 # ERROR: host "b.localhost" has both upstream and respond
}
host "c.localhost" {
  route "/a" { timeout = "1s" } # ERROR: route "/a" has no upstream, files, redirect or respond
  route "/b" {
    files    = "." 
    upstream = 1 # ERROR: route "/b" has both files and upstream
  }
  route "/c" {
    upstream = 1
    spa      = true # ERROR: spa needs files
    status   = 301 # ERROR: status needs redirect
  }
  route "/d" { files = { dir = "." } } # ERROR: files must be the name of a folder
  route "/e" { files = "" } # ERROR: the folder name is empty
  route "/f" { files = "~/x" } # ERROR: "~" is not expanded
  route "/g" { files = "answers.hcl" } # ERROR: "answers.hcl" is not a folder
  route "/h" { redirect = "docs" } # ERROR: redirect must be a URL, or a path that begins with "/"
  route "/i" { redirect = "example.com/x" } # ERROR: redirect must be a URL, or a path that begins with "/"
  route "/j" { redirect = "//example.com" } # ERROR: the URL of a redirect needs a scheme
  route "/k" { redirect = "/x{path}" }
  route "/l" { redirect = "ftp://x/y" } # ERROR: "ftp://x/y" is not an http or https URL
  route "/m" { redirect = "https://" } # ERROR: "https://" is not a valid URL
  route "/n" {
    redirect = "/x"
    status   = 200 # ERROR: 200 is not a redirect status
  }
  route "/o" { redirect = { to = "/x" } } # ERROR: redirect must be a URL or a path
  route "/p" { respond = 99 } # ERROR: 99 is not a valid status
  route "/q" { respond = "204" } # ERROR: a status must be a number
  route "/r" { respond = "hello" } # ERROR: a status must be a number
  route "/s" { respond = { stauts = 204 } } # ERROR: unknown field "stauts" in respond
  route "/t" { respond = { status = 204, body = "x" } } # ERROR: a 204 response has no body
  route "/u" { respond = { headers = { A = null } } } # ERROR: respond has no A to remove
  route "/v" { respond = { body = [] } } # ERROR: body must be a string
  route "/w" { redirect = 1 } # ERROR: redirect must be a string
  route "/x" { redirect = "https://{rest}example.com/" } # ERROR: {rest} comes from the client and must not be part of a host
  route "/y" { redirect = "https://example.com{rest}.evil.example?x" } # ERROR: {rest} comes from the client and must not be part of a host
  route "/z" { redirect = "https://example.com/{rest}/z" }
  route "/z2" { redirect = "/login?to=https://{rest}x" }
}
