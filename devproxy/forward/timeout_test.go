package forward

import (
	"net/http"
	"testing"
	"time"
)

func TestGRPCTimeout(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1S": time.Second, "300m": 300 * time.Millisecond, "99999999n": 99999999, "2M": 2 * time.Minute, "1H": time.Hour, "5u": 5 * time.Microsecond,
		"99999999H": -1, // more than a Duration holds
		"":          -1, "S": -1, "1": -1, "-1S": -1, "1.5S": -1, "1s": -1, "123456789S": -1,
	} {
		got, ok := grpcTimeout(http.Header{"Grpc-Timeout": {text}})
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, ok, want)
		}
	}
}
