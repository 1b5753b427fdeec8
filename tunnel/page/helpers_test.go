package page

import "time"

func waitingPage() Page {
	return Page{
		Status: 503, Title: "Nothing is listening on port 5173 yet.", Lead: OpensItself,
		Quote:    &Quote{"Proxyfile:2", "upstream = 5173"},
		Attempts: []string{"127.0.0.1:5173 connection refused", "[::1]:5173 connection refused"},
		Waited:   11*time.Second + 1,
		Hints:    []string{"node (pid 41213, ~/shop/web) listens on 5174. If that is your server: `upstream = 5174`."},
		Poll:     "/.well-known/devproxy/state?path=%2F", RetryAfter: 1,
	}
}

// visitorPage is what a visitor of a share sees of it.
func visitorPage() Page {
	return Page{
		Status: 503, Title: "This site is restarting.", Lead: OpensLater,
		Poll: "/.well-known/devproxy/state?path=%2F", RetryAfter: 1, Visitor: true,
	}
}
