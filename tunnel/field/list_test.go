package field

import "testing"

func TestQuality(t *testing.T) {
	tests := []struct {
		accept, token string
		want          float64
	}{
		{"", "gzip", 0},
		{"gzip", "gzip", 1},
		{"x-gzip;q=0.5", "gzip", 0.5},
		{"GZIP ; q=0.5 , br", "gzip", 0.5},
		{"*;q=0.2", "br", 0.2},
		{"br;q=0, *", "br", 0},
		{"gzip;q=2", "gzip", 0},
		{"gzip;q=NaN", "gzip", 0},
		{"gzip;q=-1", "gzip", 0},
		{"gzip;q=1", "gzip", 1},
		{"x-gzip", "br", 0},
		{"x-gzip, br;q=0.3", "br", 0.3},
		{"", "identity", 0.001},
		{"identity;q=0", "identity", 0},
		{"*;q=0", "identity", 0},
	}
	for _, test := range tests {
		if got := Quality(test.accept, test.token); got != test.want {
			t.Errorf("%q of %q: %v, want %v", test.token, test.accept, got, test.want)
		}
	}
}

func TestHas(t *testing.T) {
	for line, want := range map[string]bool{"a, B ,c": true, "b;x=1": true, "bb": false, "": false, "a,,b": true} {
		if got := Has([]string{"x", line}, "b"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
