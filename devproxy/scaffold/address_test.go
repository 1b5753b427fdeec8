package scaffold

import "testing"

func TestLabel(t *testing.T) {
	for text, want := range map[string]string{
		"shop": "shop", "Shop_Web": "shop-web", "@acme/web": "acme-web", "--x--": "x", "Größe": "grosse", "…": "app", "": "app",
		"laravel.test": "laravel-test",
	} {
		if got := label(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestUnderLocalhost(t *testing.T) {
	for name, want := range map[string]string{
		"shop": "shop.localhost", "shop.test": "shop.localhost", "api.example.com": "api.example.localhost", "shop.localhost": "shop.localhost",
		"*.tenant.localhost": "*.tenant.localhost", "*.example.com": "*.example.localhost", "localhost": "localhost", "A.B.C.D.E.com": "c.d.e.localhost", "x.test.": "x.localhost",
		"devproxy.test": "app.localhost", "*.devproxy.test": "*.devproxy.localhost", // the first is devproxy's own page
	} {
		if got := underLocalhost(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
