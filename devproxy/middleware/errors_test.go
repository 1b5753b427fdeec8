package middleware

import (
	"net/netip"
	"testing"
	"time"
)

// TestErrors: each says what failed in the user's terms, and with which numbers.
func TestErrors(t *testing.T) {
	for want, err := range map[string]error{
		"this route's allow and deny let in known addresses only, and the client's address is unknown": &DeniedError{},
		"this route's allow and deny don't let 192.0.2.1 in":                                           &DeniedError{netip.MustParseAddr("192.0.2.1")},
		"this route takes 10/s; try again in 0.1 s":                                                    &LimitedError{time.Millisecond, "this route takes 10/s"},
		"too many wrong passwords; try again in 15 s":                                                  &LimitedError{15 * time.Second, "too many wrong passwords"},
		"x; try again in 1.1 s":                                                                        &LimitedError{time.Second + time.Nanosecond, "x"},
		"this route's cors doesn't allow pages of \"https://a.test\": write cors = [\"https://a.test\"], or cors = true for the hosts of the Proxyfile": &OriginError{"https://a.test"},
		"this route's basic_auth requires a name and a password":                            &UnauthorizedError{"shop.localhost"},
		"this route takes bodies of up to 10MB (max_body), and this one is longer":          &TooLargeError{10_000_000},
		"this route's simulate makes 25% of its requests fail; the upstream got no request": &SimulatedError{0.25},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
}
